"""A worker process that offers only some activities: tasks of the others go to those that have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from headrace.engine.lacking import pause_before
from headrace.graph.json_types import JsonObject
from headrace.store import activities_seen, workers
from support.drive import tasks_of
from support.fleet import Fleet, eventually, fleet

pytestmark = pytest.mark.anyio

NAMES = ("first", "second", "third", "fourth", "fifth")

TASK = """
@worker_task
def {name}() -> int:
    return os.getpid()
"""


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    source = "import os\nfrom headrace import worker_task\n"
    (tmp_path / "all.py").write_text(source + "".join(TASK.format(name=name) for name in NAMES))
    return str(tmp_path)


@pytest.fixture
async def fleets(database_url: str, redis_url: str, tasks: str) -> AsyncIterator[dict[str, Fleet]]:
    """A worker for each of the activities, which knows where all of them are."""
    async with AsyncExitStack() as opened:
        found = {}
        for name in NAMES:
            of_name = fleet(database_url, redis_url, HEADRACE_TASKS=tasks, HEADRACE_ACTIVITIES=name)
            found[name] = await opened.enter_async_context(of_name)
            found[name].start(1)
        yield found


async def test_each_runs_its_own_and_is_named_after_it(fleets: dict[str, Fleet]) -> None:
    one = fleets["first"]

    async def are_all_here() -> bool:
        async with one.engine.db.connection() as tx:
            seen = {str(found.declaration["name"]): found.workers for found in await activities_seen.find(tx)}
        return seen == dict.fromkeys(NAMES, 1)  # and nobody has told of the built-in ones

    await eventually(are_all_here, 20, "all have told what they offer")
    pids = {name: each.workers[0].pid for name, each in fleets.items()}
    async with one.engine.db.connection() as tx:
        names = {found.pid: found.name for found in await workers.all_workers(tx)}
    assert {pid: name.partition("+")[0] for pid, name in names.items()} == {
        pid: name for name, pid in pids.items()
    }
    nodes: list[JsonObject] = [
        {"id": f"{name}-{number}", "type": name, "config": {}} for number in range(4) for name in pids
    ]
    (run,) = await one.start_runs(await one.save({"name": "all", "nodes": [*nodes], "edges": []}), 1)
    await one.until_all_ended(20)
    done = await tasks_of(one.engine, run)
    assert {node: task.output for node, task in done.items()} == {
        node: pids[node.partition("-")[0]] for node in done
    }
    assert {task.attempt for task in done.values()} == {1}  # being handed back is no attempt


def test_a_task_is_offered_as_often_as_there_are_workers_before_it_waits_longer() -> None:
    assert [pause_before(delivery, 2) for delivery in (1, 4, 5, 8, 9)] == [0.1, 0.1, 0.2, 0.2, 0.4]
    assert [pause_before(delivery, 0) for delivery in (1, 2, 3)] == [0.1, 0.1, 0.2]
    assert pause_before(10**6, 3) == 5.0


async def test_a_worker_for_what_is_not_there_does_not_start(
    database_url: str, redis_url: str, tasks: str
) -> None:
    env = {"HEADRACE_TASKS": tasks, "HEADRACE_ACTIVITIES": "first,sixth"}
    async with fleet(database_url, redis_url, **env) as nobody:
        nobody.start(1)
        assert nobody.workers[0].wait(20) == 1
        assert await nobody.count_tasks("true") == 0
        async with nobody.engine.db.connection() as tx:
            assert await workers.all_workers(tx, include_ended=True) == []
