"""Functions that the tests' jobs name. Those that wait do so for a file, not for a time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from redis import Redis
from rq import get_current_job
from rq.job import Job, Retry

from headrace.graph.json_types import JsonValue
from support import rq_snapshot

_DEADLINE = 20.0


def echo(*args: JsonValue) -> list[JsonValue]:
    return list(args)


def nothing() -> None:
    return None


def fail(text: str) -> None:
    raise ValueError(text)


def leave() -> None:
    raise SystemExit(3)


def end_of_iteration() -> None:
    raise StopIteration


def unserializable() -> object:
    return object()


def again() -> Retry:
    return Retry(max=1)


async def echo_later(*args: JsonValue) -> list[JsonValue]:
    await asyncio.sleep(0)
    return list(args)


def current_id() -> str | None:
    job = get_current_job()
    return job.id if job else None


async def current_id_later(path: str) -> list[str | None]:
    """Asks before and after a wait in which other jobs begin, also in a task of its own."""
    first = current_id()
    await wait_async(path)
    return [first, current_id(), await asyncio.create_task(_current_id_async())]


async def _current_id_async() -> str | None:
    return current_id()


def wait(path: str) -> str:
    """Runs until the file exists."""
    deadline = time.monotonic() + _DEADLINE
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.005)
    return "seen"


async def wait_async(path: str) -> str:
    """The same, on the loop."""
    async with asyncio.timeout(_DEADLINE):
        while not Path(path).exists():
            await asyncio.sleep(0.005)
    return "seen"


async def resist(path: str) -> None:
    """Answers being cancelled with an error of its own."""
    try:
        await wait_async(path)
    except asyncio.CancelledError:
        raise ValueError("resisted") from None


def note_success(job: Job, connection: Redis, result: JsonValue) -> None:
    connection.rpush("notes", f"success {job.id} {result}")


def note_failure(job: Job, connection: Redis, kind: type, error: BaseException, _: object) -> None:
    connection.rpush("notes", f"failure {job.id} {kind.__name__}")


def note_stop(job: Job, connection: Redis) -> None:
    connection.rpush("notes", f"stopped {job.id}")


def bad_callback(job: Job, connection: Redis, result: JsonValue) -> None:
    raise RuntimeError("callback")


def look_at_keys() -> dict[str, str]:
    """What Redis holds while this job runs."""
    job = get_current_job()
    assert job
    return rq_snapshot.take(job.connection)
