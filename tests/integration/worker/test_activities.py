"""Users' functions, found by real worker processes and run by them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from uuid import UUID

import pytest

from headrace.engine import reading
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import activities_seen
from support.drive import tasks_of
from support.fleet import Fleet, eventually, fleet

pytestmark = pytest.mark.anyio

TASKS = """
import asyncio, os, threading, time
from headrace import Fail, Retry, context, worker_task

@worker_task("sync")
def in_a_thread(a: int, b: int = 2) -> dict:
    return {"sum": a + b, "thread": threading.current_thread().name, "pid": os.getpid()}

@worker_task("looped")
async def in_the_loop(word: str):
    await asyncio.sleep(0)
    context().logger.info("saw %s", word)
    return {"word": word, "attempt": context().attempt, "key": context().idempotency_key}

@worker_task("alone", isolated=True)
def in_a_process(a: int):
    context().logger.warning("from afar")
    return {"pid": os.getpid(), "parent": os.getppid(), "a": a, "node": context().node_id}

@worker_task("flaky", retries=1, retry_delay="10ms", retry_on=ConnectionError)
def flaky():
    if context().attempt == 1:
        raise ConnectionResetError("not yet")
    return "done"

@worker_task("refused", retries=5)
async def refused():
    raise Fail("no such card", kind="CardDeclined", details={"code": 51})

@worker_task("slow")
def slow(file: str):
    for step in range(600):
        context().heartbeat(step / 1000, {"step": step})
        if context().cancelled:
            open(file, "w").write("stopped")
            return
        time.sleep(0.05)

@worker_task("slow_alone", isolated=True)
async def slow_alone():
    context().heartbeat(0.5, "half")
    await asyncio.sleep(60)
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "my_tasks"
    folder.mkdir()
    (folder / "all_of_them.py").write_text(dedent(TASKS))
    return folder


@pytest.fixture
async def crew(database_url: str, redis_url: str, tasks: Path) -> AsyncIterator[Fleet]:
    async with fleet(database_url, redis_url, HEADRACE_TASKS=str(tasks)) as one:
        yield one


def node(id: str, type: str, **config: JsonValue) -> JsonObject:
    return {"id": id, "type": type, "config": config}


async def declared(crew: Fleet, name: str) -> None:
    """Waits until a worker has told that it has the activity."""

    async def is_known() -> bool:
        async with crew.engine.db.connection() as tx:
            return any(one.workers for one in await activities_seen.find(tx, [name]))

    await eventually(is_known, 20, f"a worker declares {name}")


async def start(crew: Fleet, *nodes: JsonObject, run_input: JsonValue = None) -> UUID:
    workflow = await crew.save({"name": "activities", "nodes": [*nodes], "edges": []})
    return (await crew.start_runs(workflow, 1, run_input))[0]


async def test_sync_code_runs_in_threads_async_code_in_the_loop_isolated_code_in_a_process(
    crew: Fleet,
) -> None:
    crew.start(1)
    await declared(crew, "sync")
    run = await start(
        crew,
        node("thread", "sync", a="${ n }"),
        node("loop", "looped", word="{{n}} times"),
        node("process", "alone", a=1),
        node("named", "activity", activity="sync", input={"a": 40}),
        node("from_input", "activity", activity="sync"),
        run_input={"n": 5, "a": 1, "b": 1},
    )
    await crew.until_all_ended(30)
    done = await tasks_of(crew.engine, run)
    assert {task.status for task in done.values()} == {"completed"}, done
    (worker,) = crew.workers
    thread, process = done["thread"].output, done["process"].output
    assert isinstance(thread, dict)
    assert isinstance(process, dict)
    assert (thread["sum"], thread["pid"]) == (7, worker.pid)
    assert thread["thread"] == "sync-code"
    assert done["loop"].output == {"word": "5 times", "attempt": 1, "key": str(done["loop"].id)}
    assert process["pid"] not in (worker.pid, None)
    assert (process["a"], process["node"]) == (1, "process")
    named, from_input = done["named"].output, done["from_input"].output
    assert isinstance(named, dict)
    assert isinstance(from_input, dict)
    assert (named["sum"], from_input["sum"]) == (42, 2)
    log = str((await reading.run_detail(crew.engine, run)).log)
    assert "saw 5 times" in log
    assert "from afar" in log
