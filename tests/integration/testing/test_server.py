"""The kit's own server: of this process, started once, gone with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.local_stack import clean_environment
from support.servers import passable_folder

TWICE = """
from headrace.testing import run_workflow
from headrace.testing.server import server_url

chain = {"name": "w", "nodes": [{"id": "a", "type": "noop", "name": "a", "config": {}}], "edges": []}
assert run_workflow(chain).status == "succeeded"
print(server_url())
assert run_workflow(chain).status == "succeeded"
print(server_url())
"""


def run(program: str, folder: Path) -> list[str]:
    """What a Python process prints which has no settings at all."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=clean_environment(TMPDIR=str(folder)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_a_database_it_starts_one_and_cleans_up() -> None:
    with passable_folder() as folder:
        first, second = run(TWICE, folder)
        assert list(folder.glob("headrace-testing-*")) == []
    assert first == second
    assert "@127.0.0.1:" in first


def test_who_does_not_ask_for_it_does_not_load_it(tmp_path: Path) -> None:
    loaded = "import sys, headrace; print([name for name in sys.modules if name.startswith('headrace.')])"
    assert run(loaded, tmp_path) == ["[]"]
