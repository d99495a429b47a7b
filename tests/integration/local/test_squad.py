"""Processes that a command keeps: who dies comes back, who leaves stays away, and none is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.child import Terms
from headrace.local.squad import RESTART_SECONDS, Squad
from headrace.local.supervisor import WorkerDeath
from support.processes import eventually, is_gone

WORKER = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
folder = pathlib.Path(sys.argv[1])
part = folder / ("." + os.environ["HEADRACE_WORKER_ID"])
part.write_text(f"{os.environ['NAME']} {os.getpid()}")
part.rename(folder / os.environ["HEADRACE_WORKER_ID"])
while True:
    time.sleep(60)
"""


class Scene:
    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.deaths: list[WorkerDeath] = []
        environments = {name: {**os.environ, "NAME": name} for name in names}
        command = [sys.executable, "-c", WORKER, str(folder)]
        self.squad = Squad(command, environments, Terms(), self.deaths.append)

    def ready(self, name: str) -> list[tuple[str, int]]:
        """Ids and pids of all that were started for a name."""
        files = [path for path in self.folder.iterdir() if path.name[0] != "."]
        told = [(path.name, *path.read_text().split()) for path in files]
        return [(worker_id, int(pid)) for worker_id, whose, pid in told if whose == name]

    def until_ready(self, name: str, count: int = 1) -> None:
        eventually(lambda: self.squad.tend() and len(self.ready(name)) == count)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path, "first", "second")
    yield one
    one.squad.stop()
    pids = [pid for name in ("first", "second") for _, pid in one.ready(name)]
    assert all(map(is_gone, pids))


def test_who_dies_is_buried_and_comes_back_a_second_later(scene: Scene) -> None:
    scene.until_ready("first")
    scene.until_ready("second")
    ((worker_id, pid),) = scene.ready("first")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: scene.squad.tend() and bool(scene.deaths))
    buried_at = time.monotonic()
    assert scene.deaths == [WorkerDeath(worker_id, pid, -signal.SIGKILL)]
    scene.until_ready("first", 2)
    assert time.monotonic() - buried_at >= RESTART_SECONDS * 0.9
    assert len(scene.ready("second")) == 1


def test_who_leaves_in_order_stays_away(scene: Scene) -> None:
    scene.until_ready("first")
    scene.until_ready("second")
    ((_, first),) = scene.ready("first")
    ((_, second),) = scene.ready("second")
    os.kill(first, signal.SIGTERM)
    eventually(lambda: scene.squad.tend() and is_gone(first))
    os.kill(second, signal.SIGTERM)
    eventually(lambda: not scene.squad.tend())
    assert scene.deaths == []
    assert len(scene.ready("first")) == 1
