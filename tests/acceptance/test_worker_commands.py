"""`headrace worker start --worker`, `ps` and `killall`, with real processes on a stack that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.graph.json_types import JsonObject
from support.local_stack import HEADRACE, UpProcess, clean_environment
from support.processes import eventually, is_gone

TASKS = """
from headrace import worker_task

@worker_task
def Gpt_Research(topic: str) -> str:
    return topic.upper()

@worker_task
def tidy() -> None: ...
"""


class Started:
    """`headrace worker start` with a name for each process, in a project's folder."""

    def __init__(self, up: UpProcess, folder: Path, *arguments: str) -> None:
        self.up, self.folder = up, folder
        (folder / "tasks").mkdir()
        (folder / "tasks" / "research.py").write_text(TASKS)
        self.env = clean_environment(HEADRACE_DATA_DIR=str(up.data_dir), HEADRACE_TASKS="tasks")
        self.log = folder / "log"
        with self.log.open("wb") as log:
            command = [*HEADRACE, "worker", "start", *arguments]
            self.process = subprocess.Popen(command, env=self.env, cwd=folder, stdout=log, stderr=log)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*HEADRACE, *arguments]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=50, check=False
        )

    def pids(self, name: str) -> list[int]:
        """Of the processes that run for an activity."""
        ours = [one for one in self.up.workers() if str(one["name"]).startswith(f"{name}+")]
        return [int(str(one["pid"])) for one in ours]

    def until(self, name: str, other: int = 0) -> int:
        """Waits for a process of an activity that is not this other one."""
        eventually(lambda: self.pids(name) not in ([], [other]), 30)
        (pid,) = self.pids(name)
        return pid


@pytest.fixture
def started(up: UpProcess, tmp_path: Path) -> Iterator[Started]:
    one = Started(up, tmp_path, "--worker", "Gpt_Research", "-w", "tidy")
    yield one
    if one.process.poll() is None:
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(30)


def test_workers_by_the_names_of_their_activities(started: Started) -> None:
    research, tidy = started.until("Gpt_Research"), started.until("tidy")

    definition = started.folder / "research.json"
    node: JsonObject = {"id": "a", "type": "activity"}
    node["config"] = {"activity": "Gpt_Research", "input": {"topic": "rivers"}}
    definition.write_text(json.dumps({"nodes": [node], "edges": []}))
    ran = started.cli("run", str(definition), "--watch", "--timeout", "30")
    assert ran.returncode == 0, ran.stdout + ran.stderr  # though workers of `up` do not have it

    shown = started.cli("worker", "ps", "--full").stdout.splitlines()
    assert shown[0].split() == [
        "WORKER",
        "USER",
        "PID",
        "%CPU",
        "%MEM",
        "VSZ",
        "RSS",
        "TTY",
        "STAT",
        "START",
        "TIME",
        "COMMAND",
    ]
    (line,) = [one for one in shown if one.startswith("tidy+")]
    assert line.split()[2] == str(tidy)
    assert line.rstrip().endswith("-m headrace_worker")

    killed = started.cli("worker", "killall", "gpt_res", "--kill", "--yes")
    assert killed.returncode == 0
    assert f"✓ Sent SIGKILL to Gpt_Research+{os.uname().nodename}-{research} ({research})" in killed.stdout
    assert started.until("Gpt_Research", research) != research  # it is started again
    assert started.pids("tidy") == [tidy]

    asked = subprocess.run(
        [*HEADRACE, "worker", "killall", "TIDY"], env=started.env, cwd=started.folder, input="n\n", text=True,
        capture_output=True, timeout=50, check=False,
    )  # fmt: skip
    assert asked.returncode == 1
    assert "Send SIGTERM to tidy+" in asked.stderr
    assert started.pids("tidy") == [tidy]

    assert started.cli("worker", "killall", "tidy", "-y").returncode == 0
    eventually(lambda: is_gone(tidy))
    assert (
        started.cli("worker", "killall", "tidy", "-y").stdout == "No worker processes found\n"
    )  # it has left


def test_an_interrupt_lets_them_finish(started: Started) -> None:
    pids = [started.until(name) for name in ("Gpt_Research", "tidy")]
    started.process.send_signal(signal.SIGINT)
    assert started.process.wait(30) == 0
    said = started.log.read_text()
    assert said.index("Shutting down workers...") < said.index("Workers stopped.")
    assert all(map(is_gone, pids))
    assert "exit_code" not in said
