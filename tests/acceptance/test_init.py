"""A project from its first command to its first run, as its README tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.local_stack import UpProcess, clean_environment, start_up
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
    """`headrace up` in the project's folder, with its data where it is by default."""
    stack = start_up(demo, "--workers", "1")
    yield stack
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
