"""`headrace up`: the real stack, run, scaled, killed in every part, stopped and started again."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from headrace.cli.texts import blanks
from headrace.graph.definition import parse
from headrace.graph.json_types import JsonObject
from headrace.samples import Sample, load_samples
from support.local_stack import UpProcess, clean_environment, local_stack, run_cli, start_up
from support.processes import eventually, is_gone
from support.servers import passable_folder
from support.slow_server import SlowServer

ANY_PORT = ("up", "--port", "0")


def workflow_ids(client: httpx.Client) -> dict[str, str]:
    return {line["name"]: line["id"] for line in client.get("/workflows").raise_for_status().json()}


def calling(url: str) -> JsonObject:
    """A workflow with one node that calls this URL."""
    node: JsonObject = {
        "id": "call",
        "type": "apiCall",
        "name": "Call",
        "config": {"method": "GET", "url": url, "timeoutMs": 20_000},
    }
    return {"name": "A slow call", "nodes": [node], "edges": []}


def start_run(client: httpx.Client, definition: JsonObject) -> str:
    workflow = client.post("/workflows", json=definition).raise_for_status().json()
    started = client.post(f"/workflows/{workflow['id']}/execute-async", json={}).raise_for_status().json()
    return str(started["runId"])


def status_of(client: httpx.Client, run_id: str) -> str:
    return str(client.get(f"/runs/{run_id}").raise_for_status().json()["status"])


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_says_where_it_is_and_is_ready(up: UpProcess) -> None:
    assert answers(up.url)
    assert f"API         {up.url}\n" in up.output()
    with up.client() as client:
        assert client.get("/docs").is_success
        assert client.get("/rq/").is_success


@pytest.mark.parametrize("sample", load_samples(), ids=lambda sample: sample.file)
def test_a_sample_succeeds_with_full_texts(up: UpProcess, sample: Sample) -> None:
    templates = {node.id: str(node.config.get("template")) for node in parse(sample.definition).nodes}
    with up.client() as client:
        path = f"/workflows/{workflow_ids(client)[sample.name]}/execute"
        answer = client.post(path, json={"input": sample.example_input}).raise_for_status().json()
    assert answer["status"] == "succeeded"
    texts = {line["nodeId"]: line["content"] for line in answer["logs"] if line["kind"] == "notification"}
    assert texts
    assert {node: blanks(templates[node], text) for node, text in texts.items()} == {
        node: [] for node in texts
    }


def test_scales_up_and_down(up: UpProcess) -> None:
    up.scale(3)
    assert len({worker["pid"] for worker in up.workers()}) == 3
    with up.client() as client:
        listening = client.get("/queues").raise_for_status().json()["workers"]
        shown = client.get("/rq/0/data/workers.json").raise_for_status().json()["workers"]
    # Each process has one RQ worker for each of the two queues.
    ours = {f"{str(worker['id']).replace('-', '')}-{lane}" for worker in up.workers() for lane in LANES}
    assert {worker["name"] for worker in listening} >= ours
    assert {worker["name"] for worker in shown} >= ours
    assert len(ours) == 6
    up.scale(2)
    assert len(up.workers()) == 2


LANES = ("tasks", "dependencies")


def test_a_killed_worker_is_back_and_its_task_goes_on(up: UpProcess, slow: SlowServer) -> None:
    up.scale(1)
    [worker] = up.workers()
    with up.client() as client:
        run_id = start_run(client, calling(slow.url))
        eventually(lambda: slow.total == 1)
        slow.delay = 0
        killed_at = time.monotonic()
        os.kill(int(str(worker["pid"])), signal.SIGKILL)
        # Its lease would hold the task for 30 s.
        eventually(lambda: status_of(client, run_id) == "succeeded", 10)
        assert time.monotonic() - killed_at < 10
    assert [one["id"] != worker["id"] for one in up.workers()] == [True]
    up.scale(2)


def test_a_killed_api_is_back_at_its_address(up: UpProcess) -> None:
    url = up.url
    [pid] = [pid for pid in up.descendants() if is_api(pid)]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_gone(pid) and answers(url), 20)


def is_api(pid: int) -> bool:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return arguments[2:5] == [b"-m", b"headrace.cli", b"api"]


@pytest.mark.parametrize("server", ["postgres", "redis"])
def test_a_killed_server_is_back_and_accepted_runs_go_on(
    up: UpProcess, slow: SlowServer, server: str
) -> None:
    slow.delay = 0.5
    pid = up.server_pid(server)
    with up.client() as client:
        run_id = start_run(client, calling(slow.url))
        eventually(lambda: slow.total >= 1)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: is_gone(pid) and answers(up.url), 30)
        eventually(lambda: status_of(client, run_id) == "succeeded", 30)
    assert up.server_pid(server) != pid


def test_ctrl_c_stops_everything_in_order() -> None:
    with local_stack("--workers", "1") as up:
        children = up.descendants()
        assert len(children) >= 8  # four children, each on its leash
        assert up.stop(signal.SIGINT) == 0
        assert all(map(is_gone, children))
        assert "Headrace has stopped" in up.output()
        assert not (up.data_dir / "stack.json").exists()


def test_a_killed_stack_leaves_nothing_behind_and_keeps_its_data(slow: SlowServer) -> None:
    settings = {"HEADRACE_HTTP_ALLOW": "127.0.0.1", "HEADRACE_GRACE_SECONDS": "1"}
    with passable_folder() as folder:
        first = start_up(folder, "--workers", "1", **settings)
        with first.client() as client:
            run_id = start_run(client, calling(slow.url))
        eventually(lambda: slow.total == 1)
        slow.delay = 0
        children = first.descendants()
        first.stop(signal.SIGKILL)
        eventually(lambda: all(map(is_gone, children)), 30)

        second = start_up(folder, "--workers", "2", **settings)
        try:
            with second.client() as client:
                eventually(lambda: status_of(client, run_id) == "succeeded", 10)
            assert len(second.workers()) == 2
        finally:
            assert second.stop() == 0


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = run_cli(["up", "--port", port], clean_environment(), tmp_path)
    assert answer.returncode == 1
    assert f"port {port}" in answer.stderr
    assert "--port or PORT" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / ".headrace").exists()


def test_a_second_stack_on_the_same_data_is_refused(up: UpProcess) -> None:
    answer = up.cli(*ANY_PORT)
    assert answer.returncode == 1
    assert f"{up.data_dir} is in use by process {up.process.pid}" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_strangers_are_kept_out_unless_one_says_so(tmp_path: Path) -> None:
    answer = run_cli([*ANY_PORT, "--host", "0.0.0.0"], clean_environment(), tmp_path)
    assert answer.returncode == 2
    assert "HEADRACE_API_KEYS" in answer.stderr
    assert not (tmp_path / ".headrace").exists()


def test_demo_uses_the_stack_that_runs(up: UpProcess) -> None:
    answer = up.cli("demo")
    assert answer.returncode == 0, answer.stderr
    assert "7 of 7 workflows succeeded" in answer.stdout
    assert "Weather Report for Dubai" in answer.stdout


def test_demo_starts_a_stack_where_none_runs() -> None:
    with passable_folder() as folder:
        answer = run_cli(["demo"], clean_environment(HEADRACE_DATA_DIR=str(folder / "data")), folder)
        assert answer.returncode == 0, answer.stderr
        assert "7 of 7 workflows succeeded" in answer.stdout
        assert not (folder / "data" / "stack.json").exists()
