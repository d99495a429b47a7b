"""`headrace worker ps|killall`: which process is a worker of the database, and how it is shown."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from headrace.cli.worker_processes import Found, is_worker, processes_of, row
from headrace.local.follow import WORKER
from headrace.local.processes import Handle, Process, look_at, terminal
from headrace.store.workers import Worker
from support.processes import eventually

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
PROCESS = Process(
    pid=7,
    user="ada",
    cpu_percent=12.34,
    memory_percent=0.5,
    virtual=2048,
    resident=1024,
    terminal="pts/3",
    state="Ssl",
    started_at=NOW - timedelta(hours=1),
    cpu_seconds=125.9,
    command=WORKER,
    environment="",
)


def worker(worker_id: UUID | None = None, pid: int = 7, host: str = "here") -> Worker:
    return Worker(
        id=worker_id or uuid4(),
        name="greet+here-7",
        host=host,
        pid=pid,
        state="running",
        projects=("default",),
        queues=(),
        concurrency=1,
        started_at=NOW,
        last_heartbeat=NOW,
        stopped_at=None,
        running=0,
        completed=0,
        failed=0,
        versions={},
        busy=0,
        cpu_percent=None,
        memory_mb=None,
        is_healthy=True,
    )


def test_a_process_that_was_given_the_id_is_the_worker() -> None:
    one = worker()
    given = replace(PROCESS, environment=f"A=1\0HEADRACE_WORKER_ID={one.id.hex}\0B=2")
    assert is_worker(given, one)
    assert not is_worker(given, worker())
    later = replace(given, started_at=NOW + timedelta(days=1))  # a clock that was set
    assert is_worker(later, one)
    assert not is_worker(replace(given, environment="HEADRACE_WORKER_ID=nonsense"), one)


def test_a_worker_may_be_started_as_any_module() -> None:
    for options in (WORKER[1:], WORKER[-2:]):
        assert is_worker(replace(PROCESS, command=("/usr/bin/python3", *options)), worker())


def test_without_an_id_it_must_be_older_than_the_row() -> None:
    assert is_worker(PROCESS, worker())
    assert not is_worker(replace(PROCESS, started_at=NOW + timedelta(minutes=1)), worker())


@pytest.mark.parametrize(
    "command",
    [
        ("/usr/bin/python3", "-m", "http.server"),
        ("/usr/bin/vi", "-m", "headrace_worker"),
        ("/usr/bin/python3", "-P", "-m", "http.server"),
        ("/usr/bin/python3",),
        ("",),
    ],
)
def test_no_other_program_is_a_worker(command: tuple[str, ...]) -> None:
    one = worker()
    given = f"HEADRACE_WORKER_ID={one.id.hex}"  # as children of a worker inherit it
    assert not is_worker(replace(PROCESS, command=command, environment=given), one)


def test_the_columns_are_those_of_ps() -> None:
    assert row(Found(worker(), PROCESS), NOW) == (
        *("greet+here-7", "ada", "7", "12.3", "0.5", "2048", "1024", "pts/3", "Ssl"),
        *("11:00", "2:05"),
    )


@pytest.mark.parametrize(
    ("age", "start"),
    [(timedelta(hours=23), "13:00"), (timedelta(days=2), "Mar02"), (timedelta(days=100), "2025")],
)
def test_an_older_start_is_a_day_and_then_a_year(age: timedelta, start: str) -> None:
    assert row(Found(worker(), replace(PROCESS, started_at=NOW - age)), NOW)[9] == start


@pytest.mark.parametrize(
    ("device", "name"), [(0, "?"), (os.makedev(136, 5), "pts/5"), (os.makedev(137, 1), "pts/257")]
)
def test_terminals_have_names(device: int, name: str) -> None:
    assert terminal(device) == name
    assert terminal(os.makedev(4, 2)) == "tty2"


def test_a_process_is_seen_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "headrace_worker.py"
    folder.write_text("import sys; sys.stdin.read()")
    one = worker()
    env = {"PYTHONPATH": str(tmp_path), "HEADRACE_WORKER_ID": str(one.id)}
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, env=env) as process:
        eventually(lambda: (seen := look_at(process.pid)) is not None and seen.command == WORKER)
        seen = look_at(process.pid)
        assert seen is not None
        assert abs(datetime.now(UTC) - seen.started_at) < timedelta(seconds=20)
        assert 0 < seen.resident < seen.virtual
        host = socket.gethostname()
        rows = [
            worker(one.id, process.pid, host),
            worker(None, process.pid, host),  # an older worker that had this pid
            worker(None, process.pid, "elsewhere"),
        ]
        (found,) = processes_of(rows, host)
        assert (found.worker.id, found.process.pid) == (one.id, process.pid)
        with Handle(process.pid) as handle:
            handle.send(signal.SIGTERM)
            assert process.wait(10) == -signal.SIGTERM
            with pytest.raises(ProcessLookupError):
                handle.send(signal.SIGTERM)
    assert look_at(process.pid) is None
    assert processes_of(rows, host) == []
