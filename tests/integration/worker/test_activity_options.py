"""The options of `worker_task`, kept by two real workers together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from headrace.engine import reading
from headrace.graph.json_types import JsonObject
from headrace.sandbox.support import sandbox_support
from headrace.store import activities_seen, workers
from support.drive import tasks_of
from support.fleet import Fleet, eventually, fleet

pytestmark = pytest.mark.anyio

TASKS = """
import fcntl, os, time
from pathlib import Path
from headrace import context, worker_task

class Unavailable(Exception): ...
class Busy(Unavailable): ...

def note(file, text):
    with open(file, "a") as out:
        fcntl.flock(out, fcntl.LOCK_EX)
        out.write(f"{text} {time.monotonic()} {os.getpid()}\\n")

@worker_task("few", concurrency=2)
def few(file: str):
    note(file, "+")
    time.sleep(0.15)
    note(file, "-")

@worker_task("slowly", rate="3/s")
async def slowly(file: str):
    note(file, "+")

@worker_task("picky", retries=2, retry_delay="10ms", backoff="fixed", retry_on=Unavailable)
def picky(how: str):
    if how == "class":
        raise Unavailable(how)
    if how == "subclass":
        raise Busy(how)
    raise ValueError(how)

@worker_task("stubborn", timeout="500ms", retries=0)
def stubborn(file: str):
    note(file, "+")
    while not Path(file + ".go").exists():
        time.sleep(0.02)
    note(file, "cancelled" if context().cancelled else "not told")

@worker_task("quick")
def quick():
    return "done"
"""


@pytest.fixture
async def crew(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "options.py").write_text(TASKS)
    async with fleet(database_url, redis_url, HEADRACE_TASKS=str(folder), WORKER_THREADS="4") as one:
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notes"


async def ready(crew: Fleet, workers: int) -> None:
    crew.start(workers)

    async def all_are_here() -> bool:
        async with crew.engine.db.connection() as tx:
            found = await activities_seen.find(tx, ["few"])
        return [one.workers for one in found] == [workers]

    await eventually(all_are_here, 20, "all workers have told what they have")


async def runs_of(crew: Fleet, count: int, *nodes: JsonObject) -> list[UUID]:
    workflow = await crew.save({"name": "options", "nodes": [*nodes], "edges": []})
    return await crew.start_runs(workflow, count)


def node(id: str, type: str, **config: str) -> JsonObject:
    return {"id": id, "type": type, "config": {**config}}


def notes(file: Path) -> list[tuple[str, float, str]]:
    """What was noted, when, and by which process, in the order of time."""
    lines = [line.rsplit(" ", 2) for line in file.read_text().splitlines()] if file.exists() else []
    return sorted(((word, float(at), pid) for word, at, pid in lines), key=lambda one: one[1])


async def test_concurrency_counts_over_workers_and_workflows(crew: Fleet, file: Path) -> None:
    await ready(crew, 2)
    for _ in range(2):  # two workflows
        await runs_of(crew, 6, node("a", "few", file=str(file)), node("b", "few", file=str(file)))
    await crew.until_all_ended(40)
    seen, at_once, most = notes(file), 0, 0
    for word, _, _ in seen:
        at_once += 1 if word == "+" else -1
        most = max(most, at_once)
    assert (len(seen), most) == (48, 2)
    assert len({pid for _, _, pid in seen}) == 2


async def test_a_rate_counts_over_workers(crew: Fleet, file: Path) -> None:
    await ready(crew, 2)
    await runs_of(crew, 6, node("a", "slowly", file=str(file)), node("b", "slowly", file=str(file)))
    await crew.until_all_ended(40)
    times = [at for _, at, _ in notes(file)]
    assert len(times) == 12
    within = max(sum(begin <= at < begin + 0.9 for at in times) for begin in times)
    assert within <= 6  # two windows of a second may meet; never more than both hold
    assert times[-1] - times[0] > 2


async def test_retries_and_what_is_worth_them(crew: Fleet) -> None:
    await ready(crew, 2)
    ways = ("class", "subclass", "other")
    (run,) = await runs_of(crew, 1, *(node(how, "picky", how=how) for how in ways))
    await crew.until_all_ended(30)
    done = await tasks_of(crew.engine, run)
    ends = {how: (str(task.status), task.attempt, (task.error or {})["type"]) for how, task in done.items()}
    assert ends == {
        "class": ("failed", 3, "Unavailable"),
        "subclass": ("failed", 3, "Unavailable"),
        "other": ("failed", 1, "ValueError"),
    }


async def test_code_in_a_thread_that_does_not_end_in_time_is_told_and_its_place_comes_back(
    crew: Fleet, file: Path
) -> None:
    """The attempt is over at once, the thread when its code returns: until then it holds its place."""
    await ready(crew, 1)
    runs = await runs_of(crew, 4, node("n", "stubborn", file=str(file)))
    await crew.until_all_ended(20)
    assert [word for word, _, _ in notes(file)] == ["+"] * 4
    for run in runs:
        task = (await tasks_of(crew.engine, run))["n"]
        assert task.error is not None
        assert (task.status, task.error["type"]) == ("failed", "Timeout")
        assert "may run on" in str((await reading.run_detail(crew.engine, run)).log)

    (later,) = await runs_of(crew, 1, node("n", "quick"))

    async def has_its_slot() -> bool:
        return (await tasks_of(crew.engine, later))["n"].status == "running"

    await eventually(has_its_slot, 20, "the worker has slots; the task waits for a thread in one")
    (file.parent / "notes.go").touch()
    await crew.until_all_ended(20)
    assert (await tasks_of(crew.engine, later))["n"].output == "done"
    assert [word for word, _, _ in notes(file)] == ["+"] * 4 + ["cancelled"] * 4


async def test_a_worker_says_what_its_machine_has_for_sandboxes(crew: Fleet) -> None:
    await ready(crew, 1)
    async with crew.engine.db.connection() as tx:
        (worker,) = await workers.all_workers(tx)
    assert worker.versions["sandbox"] == sandbox_support().as_json()
