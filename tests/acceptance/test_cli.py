"""The commands as a user gives them, each a process of its own, on a stack that runs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from headrace.graph.json_types import JsonObject
from headrace.samples import load_samples
from support.local_stack import HEADRACE, UpProcess, clean_environment
from support.processes import eventually

EXAMPLES = Path(__file__).parents[2] / "examples"
GREETING = str(EXAMPLES / "03-simple-notification.json")


@pytest.fixture
def greeting(tmp_path: Path) -> Path:
    """A file with a small workflow in the flat form."""
    text: JsonObject = {"id": "greet", "type": "notification", "name": "Greet", "config": {}}
    text["config"] = {"template": "Hello {{name}}!"}
    path = tmp_path / f"{tmp_path.name}.json"
    path.write_text(json.dumps({"nodes": [text], "edges": []}))
    return path


def failing(path: Path) -> Path:
    """A file with a workflow whose call goes where nobody listens."""
    config: JsonObject = {"method": "GET", "url": "http://127.0.0.1:9/", "failOnError": True}
    node: JsonObject = {"id": "call", "type": "apiCall", "name": "Call", "config": config}
    node["retry"] = {"maxAttempts": 1}
    path.write_text(json.dumps({"nodes": [node], "edges": []}))
    return path


def test_run_shows_progress_and_the_text(up: UpProcess) -> None:
    answer = up.cli("run", GREETING, "--input", '{"recipient": "Ada", "message": "It works."}', "--watch")
    assert answer.returncode == 0, answer.stderr
    nodes = re.findall(r"\+ *[\d.]+ s  (\w+) +([\w-]+)", answer.stdout)
    # A node that is handed over to the process that freed it is never seen as queued.
    seen = [status for status, node in nodes if node == "delay-node" and status != "queued"]
    assert seen == ["running", "waiting", "running", "completed"]
    assert "Message for Ada" in answer.stdout
    assert re.search(r"Run \S+ succeeded in \d\.\d\d s", answer.stdout)


def test_run_by_name_prints_the_runs_id(up: UpProcess) -> None:
    run_id = up.cli("run", load_samples()[0].name).stdout.strip()
    ended = up.cli("runs", "watch", run_id, "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["status"] == "succeeded"
    assert "Weather Report for Dubai" in up.cli("runs", "show", run_id).stdout
    assert "Async workflow run started" in up.cli("runs", "logs", run_id).stdout
    listed = json.loads(up.cli("runs", "list", "--json").stdout)["items"]
    assert run_id in [run["id"] for run in listed]


def test_a_run_that_fails_is_one(up: UpProcess, tmp_path: Path) -> None:
    answer = up.cli("run", str(failing(tmp_path / "nobody.json")), "--watch")
    assert answer.returncode == 1
    assert "node 'call' failed" in answer.stdout


def test_a_run_that_is_cancelled_is_three(up: UpProcess) -> None:
    run_id = up.cli("run", GREETING).stdout.strip()
    assert up.cli("runs", "cancel", run_id).returncode == 0
    answer = up.cli("runs", "watch", run_id)
    assert answer.returncode == 3
    assert "cancelled" in answer.stdout
    again = up.cli("runs", "cancel", run_id)
    assert again.returncode == 1
    assert "The run has ended" in again.stderr


def test_a_file_that_changed_is_the_next_version(up: UpProcess, greeting: Path) -> None:
    name = greeting.stem
    assert up.cli("run", str(greeting), "--input", '{"name": "Ada"}', "--watch").returncode == 0
    greeting.write_text(greeting.read_text().replace("Hello", "Goodbye"))
    answer = up.cli("run", str(greeting), "--input", '{"name": "Ada"}', "--watch")
    assert "Goodbye Ada!" in answer.stdout
    assert json.loads(up.cli("workflow", "show", name).stdout)["version"] == 2
    assert up.cli("workflow", "delete", name).returncode == 0
    assert "There is no workflow" in up.cli("workflow", "show", name).stderr


def test_a_definition_that_is_refused_is_explained(up: UpProcess, greeting: Path) -> None:
    greeting.write_text(greeting.read_text().replace('"notification"', '"shout"'))
    refused = up.cli("workflow", "create", str(greeting))
    offline = up.cli("workflow", "validate", str(greeting))
    assert refused.returncode == offline.returncode == 1
    assert "nodes[0].type: unknown node type 'shout'" in refused.stderr
    assert refused.stderr == offline.stderr


def test_lists_workers_and_queues(up: UpProcess) -> None:
    workers = json.loads(up.cli("worker", "status", "--json").stdout)["items"]
    assert {worker["state"] for worker in workers} == {"running"}
    assert up.cli("worker", "check").returncode == 0
    assert "workflow-dependencies" in up.cli("queue", "list").stdout


def test_migrate_and_verify_find_the_running_stack(up: UpProcess) -> None:
    before = json.loads(up.cli("workflow", "list", "--json").stdout)
    assert up.cli("migrate").returncode == 0
    assert json.loads(up.cli("workflow", "list", "--json").stdout) == before
    answer = up.cli("verify")
    assert (answer.returncode, answer.stdout) == (0, "Nothing is broken.\n")
    elsewhere = [*HEADRACE, "verify", "--data-dir", str(up.data_dir), "--json"]
    told = subprocess.run(elsewhere, env=clean_environment(), capture_output=True, text=True, timeout=30)
    assert (told.returncode, told.stdout) == (0, "[]\n")


def test_a_worker_started_by_hand_joins_and_leaves(up: UpProcess) -> None:
    before = len(up.workers())
    env = clean_environment(HEADRACE_DATA_DIR=str(up.data_dir))
    worker = subprocess.Popen([*HEADRACE, "worker", "start"], env=env, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: worker.pid in [one["pid"] for one in up.workers()], 20)
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    eventually(lambda: len(up.workers()) == before)
