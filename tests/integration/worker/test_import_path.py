"""Files of the folder where somebody starts Headrace are no modules of Headrace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from headrace.cli.offers import offers
from headrace.local.follow import WORKER
from headrace_worker.isolated_pool import IsolatedPool

pytestmark = pytest.mark.anyio

SHADOWED = ("queue", "resource", "socket", "json", "asyncio")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: its modules have names of the standard library, and say when they are run."""
    for name in SHADOWED:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_worker_starts(folder: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    ended = subprocess.run(
        WORKER, env=env | {"HEADRACE_PROJECTS": "!"}, capture_output=True, text=True, check=False, timeout=50
    )
    assert ended.stderr.startswith("headrace worker: ")
    assert not (folder / "ran").exists()


def test_what_it_would_offer_is_told(folder: Path) -> None:
    (folder / "tasks").mkdir()
    (folder / "beside.py").write_text("WORD = 'hello'\n")
    (folder / "tasks" / "own.py").write_text(
        "import queue, beside\nfrom headrace import worker_task\n@worker_task\n"
        "def own(): return queue.Queue, beside.WORD\n"
    )
    found = offers([folder / "tasks"])
    assert found.problems == []
    assert "own" in found.declarations()
    assert not (folder / "ran").exists()


async def test_isolated_code_runs(folder: Path) -> None:
    pool = IsolatedPool(1, 512)
    try:
        assert isinstance(await pool.run("operator:neg", 7), int)
    finally:
        await pool.close()
    assert not (folder / "ran").exists()
