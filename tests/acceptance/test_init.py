"""A project from its first command to its first run, as its README tells it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.stack import read_running
from support.local_stack import UpProcess, clean_environment, run_cli
from support.processes import eventually
from support.servers import passable_folder

BIN = Path(sys.executable).parent


def environment(**said: str) -> dict[str, str]:
    """One in which Headrace is installed and active, and no setting is made."""
    return clean_environment(PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}", **said)


@pytest.fixture(scope="module")
def demo() -> Iterator[Path]:
    with passable_folder() as folder:
        made = subprocess.run(["headrace", "init", "demo"], env=environment(), cwd=folder, check=False)
        assert made.returncode == 0
        yield folder / "demo"


@pytest.fixture(scope="module")
def up(demo: Path) -> Iterator[UpProcess]:
    """`headrace up` in the project's folder, as `make up`, on a free port."""
    log = demo.parent / "up.log"
    with log.open("wb") as told:
        command = ["headrace", "up", "--port", "0", "--workers", "1"]
        process = subprocess.Popen(command, env=environment(), cwd=demo, stdout=told, stderr=told)
    stack = UpProcess(process, demo / ".headrace")

    def is_ready() -> bool:
        running = read_running(stack.data_dir)
        return process.poll() is not None or (running is not None and running.api_url != "")

    try:
        eventually(is_ready, 50)
        assert process.poll() is None, log.read_text()
        yield stack
    finally:
        assert stack.stop() == 0


def make(folder: Path, *arguments: str, **said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        env=environment(**said),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_its_tests_pass(demo: Path) -> None:
    tested = make(demo, "test")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "2 passed" in tested.stdout


def test_its_tests_can_fail(demo: Path) -> None:
    task = demo / "tasks/greet.py"
    source = task.read_text()
    task.write_text(source.replace("Hello", "Bye"))
    try:
        tested = make(demo, "test")
    finally:
        task.write_text(source)
    assert tested.returncode != 0
    assert "2 failed" in tested.stdout


def test_up_in_the_folder_serves_the_task_and_runs_the_workflow(demo: Path, up: UpProcess) -> None:
    checked = make(demo, "check")
    assert (checked.returncode, checked.stdout) == (0, "workflows/hello.json is valid: 2 nodes, 1 edges\n")
    assert checked.stderr == ""

    first, second = make(demo, "upload"), make(demo, "upload")
    assert first.stdout.splitlines()[0] == "✓ Uploaded workflow: Hello", first.stderr
    assert second.stdout.splitlines() == [
        "Workflow Hello is up to date",
        "Summary: 1/1 workflows uploaded successfully",
    ]

    run = make(demo, "run", 'INPUT={"name": "Bob"}')
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Hello, Bob!" in run.stdout


def test_its_workers_are_seen_by_the_commands_of_the_folder(demo: Path, up: UpProcess) -> None:
    found = run_cli(["worker", "list", "--json"], environment(), demo)
    (greet,) = [one for one in json.loads(found.stdout) if one["origin"] == "project"]
    assert greet == {"name": "greet", "used": "active", "origin": "project", "source": "tasks/greet.py"}
    served = run_cli(["worker", "list", "--remote"], environment(), demo).stdout.splitlines()
    assert ["greet", "active", "project", "tasks/greet.py"] in [line.split() for line in served]


def test_what_the_readme_says_can_be_done(demo: Path) -> None:
    shown = make(demo).stdout
    targets = {line.split()[1] for line in shown.splitlines()}
    named = re.findall(r"^make ([a-z]+)", (demo / "README.md").read_text(), re.MULTILINE)
    assert targets == {"help", *named}
