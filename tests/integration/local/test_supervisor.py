"""The supervisor with real processes: it follows the wanted number, and nobody outlives it."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import pytest

from headrace.local.child import Terms
from headrace.local.places import Wish, restart_delay
from headrace.local.supervisor import Supervisor, WorkerDeath, WorkerStart
from support.processes import eventually, is_gone, runner_as_we_are
from support.project_owner import ProjectOwner

# A worker writes a file with its id as the name and its pid inside once it is ready.
WORKER = """
import os, pathlib, signal, sys, time
folder, manner = pathlib.Path(sys.argv[1]), sys.argv[2]
if manner == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if manner == "mild":
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
part = folder / ("." + os.environ["HEADRACE_WORKER_ID"])
part.write_text(str(os.getpid()))
(folder / (".project-" + os.environ["HEADRACE_WORKER_ID"])).write_text(os.environ["HEADRACE_PROJECTS"])
(folder / (".generation-" + os.environ["HEADRACE_WORKER_ID"])).write_text(
    os.environ["HEADRACE_WORKER_GENERATION"]
)
part.rename(folder / os.environ["HEADRACE_WORKER_ID"])
if manner == "dying":
    sys.exit(7)
while True:
    time.sleep(60)
"""


class Scene:
    """A supervisor whose wanted numbers a test sets, and what it says."""

    def __init__(self, folder: Path, manner: str = "mild", grace: float = 10.0) -> None:
        self.folder = folder
        self.deaths: SimpleQueue[WorkerDeath] = SimpleQueue()
        self.starts: SimpleQueue[WorkerStart] = SimpleQueue()
        self.owner = ProjectOwner(on_death=self.deaths.put, on_start=self.starts.put)
        self.supervisor = Supervisor(
            [sys.executable, "-c", WORKER, str(folder), manner],
            os.environ,
            self.owner,
            Terms(grace=grace),
        )

    def ready(self) -> dict[str, int]:
        """Pids by id of all workers that ever became ready."""
        return {path.name: int(path.read_text()) for path in self.folder.iterdir() if path.name[0] != "."}

    def is_running(self, count: int) -> bool:
        pids = self.supervisor.pids()
        return len(pids) == count and pids.items() <= self.ready().items()

    def projects(self) -> list[str]:
        """Of the workers that run, as they were told."""
        return sorted((self.folder / f".project-{name}").read_text() for name in self.supervisor.pids())

    def generations(self) -> list[str]:
        """Of the workers that run, as they were told."""
        return sorted((self.folder / f".generation-{name}").read_text() for name in self.supervisor.pids())


def has_another(supervisor: Supervisor, pid: int) -> bool:
    """Whether one worker runs, and not the one with this pid."""
    return len(supervisor.pids()) == 1 and pid not in supervisor.pids().values()


def test_it_follows_the_wanted_number_up_and_down_and_stops_the_newest_first(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.supervisor:
        scene.owner.wants(2)
        eventually(lambda: scene.is_running(2))
        oldest = scene.supervisor.pids()
        scene.owner.wants(5)
        eventually(lambda: scene.is_running(5))
        scene.owner.wants(2)
        eventually(lambda: scene.is_running(2))
        assert scene.supervisor.pids() == oldest
        newest = [pid for name, pid in scene.ready().items() if name not in oldest]
        assert len(newest) == 3
        eventually(lambda: all(is_gone(pid) for pid in newest))
    assert all(is_gone(pid) for pid in oldest.values())
    assert scene.deaths.empty()


def test_each_project_has_its_workers_and_each_start_is_told(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.supervisor:
        scene.owner.wants(2)
        scene.owner.wants(1, "shop")
        eventually(lambda: scene.is_running(3))
        assert scene.projects() == ["*", "*", "shop"]
        told = [scene.starts.get(timeout=1) for _ in range(3)]
        assert {one.worker_id: one.pid for one in told} == scene.supervisor.pids()
        scene.owner.wants(0)
        eventually(lambda: scene.is_running(1))
        assert scene.projects() == ["shop"]
        scene.owner.forgets("shop")
        eventually(lambda: scene.is_running(0))
    assert scene.deaths.empty()


def test_a_new_generation_replaces_the_processes_of_its_project_only(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.supervisor:
        scene.owner.wants(1)
        scene.owner.wants(2, "shop")
        eventually(lambda: scene.is_running(3))
        before = scene.supervisor.pids()
        scene.owner.wants(2, "shop", generation=1)
        eventually(lambda: len(before.keys() & scene.supervisor.pids().keys()) == 1)
        eventually(lambda: scene.is_running(3))
        assert scene.projects() == ["*", "shop", "shop"]
        assert scene.generations() == ["0", "1", "1"]
        eventually(lambda: sum(map(is_gone, before.values())) == 2)
    assert scene.deaths.empty()


def test_a_killed_worker_is_reported_and_replaced_within_a_second(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.supervisor:
        scene.owner.wants(2)
        eventually(lambda: scene.is_running(2))
        (victim, pid), (other, _) = scene.supervisor.pids().items()
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert scene.deaths.get(timeout=1) == WorkerDeath(victim, pid, -signal.SIGKILL)
        eventually(lambda: len(scene.supervisor.pids()) == 2 and victim not in scene.supervisor.pids(), 1)
        assert time.monotonic() - begin < 1
        assert other in scene.supervisor.pids()
        eventually(lambda: scene.is_running(2))


def test_a_worker_that_keeps_dying_is_started_more_and_more_slowly(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "dying")
    with scene.supervisor:
        scene.owner.wants(1)
        times = []
        for _ in range(4):
            assert scene.deaths.get(timeout=10).exit_code == 7
            times.append(time.monotonic())
    first, second, third = (later - earlier for earlier, later in pairwise(times))
    assert first < second < third
    assert second >= 0.5
    assert third >= 1


@pytest.mark.parametrize(
    ("quick_deaths", "seconds"),
    [(0, 0), (1, 0), (2, 0.5), (3, 1), (4, 2), (7, 16), (8, 30), (9, 30), (100_000, 30)],
)
def test_the_delay_of_a_restart(quick_deaths: int, seconds: float) -> None:
    assert restart_delay(quick_deaths) == seconds


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "worker"
    supervisor = Supervisor([str(program)], os.environ, ProjectOwner(1))
    with supervisor:
        assert not supervisor.pids()
        program.write_text("#!/bin/sh\nexec sleep 600\n")
        program.chmod(0o755)
        eventually(lambda: len(supervisor.pids()) == 1)


def test_workers_that_ignore_the_request_are_killed_after_the_grace_time_and_reported(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "stubborn", grace=0.3)
    scene.supervisor.start()
    scene.owner.wants(3)
    eventually(lambda: scene.is_running(3))
    pids = scene.supervisor.pids()
    begin = time.monotonic()
    scene.supervisor.stop()
    # All at the same time, not one grace time after the other.
    assert 0.3 <= time.monotonic() - begin < 3
    assert all(is_gone(pid) for pid in pids.values())
    told = {scene.deaths.get(timeout=1) for _ in pids}
    assert told == {WorkerDeath(name, pid, -signal.SIGKILL) for name, pid in pids.items()}


def test_the_last_number_stands_while_the_wanted_number_is_unknown(tmp_path: Path) -> None:
    answers = iter([{"default": Wish(1)}])
    failed = Event()

    class Away(ProjectOwner):
        def wanted(self) -> dict[str, Wish]:
            for answer in answers:
                return answer
            failed.set()
            raise ConnectionError("the database is away")

    supervisor = Supervisor([sys.executable, "-c", WORKER, str(tmp_path), "mild"], os.environ, Away())
    with supervisor:
        eventually(lambda: len(supervisor.pids()) == 1)
        pids = supervisor.pids()
        assert failed.wait(10)
        assert supervisor.pids() == pids


def test_a_slow_or_failing_listener_delays_no_restart(tmp_path: Path) -> None:
    told = Event()
    go_on = Event()

    def on_death(_death: WorkerDeath) -> None:
        told.set()
        go_on.wait(30)
        raise ConnectionError("the database is away")

    supervisor = Supervisor(
        [sys.executable, "-c", WORKER, str(tmp_path), "mild"], os.environ, ProjectOwner(1, on_death=on_death)
    )
    with supervisor:
        for _ in range(2):
            eventually(lambda: len(supervisor.pids()) == 1)
            (pid,) = supervisor.pids().values()
            os.kill(pid, signal.SIGKILL)
            assert told.wait(5)
            eventually(partial(has_another, supervisor, pid), 1)
        go_on.set()


@pytest.mark.parametrize("manner", ["mild", "stubborn"])
def test_the_workers_end_when_the_supervisor_is_killed(tmp_path: Path, manner: str) -> None:
    with runner_as_we_are().start("supervisor_owner.py", WORKER, tmp_path, manner) as process:
        eventually(lambda: len([path for path in tmp_path.iterdir() if path.name[0] != "."]) == 3)
        pids = [int(path.read_text()) for path in tmp_path.iterdir() if path.name[0] != "."]
        assert not any(is_gone(pid) for pid in pids)
        process.kill()
        eventually(lambda: all(is_gone(pid) for pid in pids), 5)
    assert len([path for path in tmp_path.iterdir() if path.name[0] != "."]) == 3
