"""`headrace worker ps|killall`: the worker processes of this machine, each known to the database."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import anyio
import typer

from headrace import config
from headrace.cli.database import open_database
from headrace.cli.errors import Exit
from headrace.cli.options import AsJson
from headrace.cli.output import complain, print_json, print_table, say
from headrace.graph.json_types import JsonObject
from headrace.local.follow import WORKER
from headrace.local.processes import Handle, Process, look_at
from headrace.local.supervisor import WORKER_ID
from headrace.store import workers
from headrace.store.workers import Worker

_COLUMNS = ("WORKER", "USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME")
_NOBODY = "No worker processes found"

# The database's clock and this machine's may differ a little.
_SLACK = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Found:
    """A worker of the database, and the process of this machine that is it."""

    worker: Worker
    process: Process

    def as_json(self) -> JsonObject:
        process = self.process
        return {
            "worker": self.worker.name,
            "id": str(self.worker.id),
            "state": self.worker.state,
            "user": process.user,
            "pid": process.pid,
            "cpuPercent": process.cpu_percent,
            "memoryPercent": process.memory_percent,
            "virtualKiB": process.virtual,
            "residentKiB": process.resident,
            "terminal": process.terminal,
            "status": process.state,
            "startedAt": process.started_at.isoformat(),
            "cpuSeconds": process.cpu_seconds,
            "command": [*process.command],
        }


def ps(
    full: Annotated[bool, typer.Option("--full", "-f", help="Also their commands.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the worker processes of this machine."""
    found = _processes()
    if as_json:
        print_json([one.as_json() for one in found])
        return
    now = datetime.now().astimezone()
    columns = (*_COLUMNS, "COMMAND") if full else _COLUMNS
    rows = ((*row(one, now), *((" ".join(one.process.command),) if full else ())) for one in found)
    print_table(columns, rows, _NOBODY)


def killall(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="A part of their names, in any case; else all.")
    ] = "",
    kill: Annotated[
        bool,
        typer.Option(
            "--kill", "-k", help="Send SIGKILL, and not SIGTERM, on which they finish or hand back."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask worker processes of this machine to end. Those that are supervised are started again."""
    number = signal.SIGKILL if kill else signal.SIGTERM
    found = [one for one in _processes() if pattern.casefold() in one.worker.name.casefold()]
    if found and not yes:
        names = ", ".join(f"{one.worker.name} ({one.process.pid})" for one in found)
        typer.confirm(f"Send {number.name} to {names}?", abort=True, err=True)
    reached = [one for one in found if _signal(one, number)]
    if as_json:
        print_json({"signal": number.name, "workers": [one.as_json() for one in reached]})
    for one in () if as_json else reached:
        say(f"✓ Sent {number.name} to {one.worker.name} ({one.process.pid})")
    if not found and not as_json:
        say(_NOBODY)
    if len(reached) < len(found):
        raise typer.Exit(Exit.FAILED)


def processes_of(rows: Sequence[Worker], host: str) -> list[Found]:
    """The workers of this host that run, by name: each row that a process is verified to be."""
    found = []
    for worker in rows:
        process = look_at(worker.pid) if worker.host == host else None
        if process is not None and is_worker(process, worker):
            found.append(Found(worker, process))
    return sorted(found, key=lambda one: (one.worker.name, one.process.pid))


def is_worker(process: Process, worker: Worker) -> bool:
    """Whether a process is this worker, and not a later one that only got its number.

    It runs a worker's command; and it was given this worker's id, or, without one, was there before the row.
    """
    options = tuple(one for one in process.command[1:4] if one != "-P")
    if options[:2] != WORKER[-2:] or "python" not in Path(process.command[0]).name:
        return False
    given = process.said(WORKER_ID)
    return _is_id(given, worker.id) if given else process.started_at <= worker.started_at + _SLACK


def _is_id(text: str, worker_id: UUID) -> bool:
    try:
        return UUID(text) == worker_id
    except ValueError:
        return False


def _signal(found: Found, number: signal.Signals) -> bool:
    """Whether it was reached. It is looked at once more while its number cannot go to another process."""
    try:
        with Handle(found.process.pid) as handle:
            process = look_at(found.process.pid)
            if process is None or not is_worker(process, found.worker):
                return False
            handle.send(number)
    except ProcessLookupError:
        return False
    except PermissionError:
        complain(f"✗ {found.worker.name} ({found.process.pid}) is {found.process.user}'s")
        return False
    return True


def _processes() -> list[Found]:
    return processes_of(anyio.run(_all_workers), socket.gethostname())


async def _all_workers() -> list[Worker]:
    """Also those that are taken for dead: their processes may only be stuck."""
    async with open_database(config.load()) as db:
        return await db.transact(partial(workers.all_workers, include_ended=True))


def row(found: Found, now: datetime) -> tuple[str, ...]:
    """The columns of `ps`."""
    one = found.process
    sizes = (f"{one.cpu_percent:.1f}", f"{one.memory_percent:.1f}", str(one.virtual), str(one.resident))
    times = (_start(one.started_at, now), _time(one.cpu_seconds))
    return (found.worker.name, one.user, str(one.pid), *sizes, one.terminal, one.state, *times)


def _start(started_at: datetime, now: datetime) -> str:
    """As `ps`: the time of day, of an older one the day, of one of another year that."""
    local = started_at.astimezone(now.tzinfo)
    if now - local < timedelta(days=1):
        return local.strftime("%H:%M")
    return local.strftime("%b%d" if local.year == now.year else "%Y")


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
