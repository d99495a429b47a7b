"""Runs within runs, some of them paused: what a pause, a resume and a retry of the outermost reaches."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.engine.again import retry_run
from headrace.engine.control import pause_run, resume_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.signals import SignalRequest, send_signal
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.json_types import JsonObject
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.drive import drain, status_of, statuses_of
from support.family import call, children_of, with_items

pytestmark = pytest.mark.anyio

WAIT = node("wait", "waitSignal", config={"signal": "go"})
HOLDS = workflow([WAIT], [], name="holds")


def bad(name: str = "bad") -> JsonObject:
    return node(name, "script", config={"do": "fail", "times": 1, "retryable": False})


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


async def families(engine: Engine, outer: JsonObject, *inner: JsonObject) -> list[UUID]:
    """The ids of a new run, of its first child, of that one's first child, as far as they go."""
    for document in inner:
        await create_workflow(engine, document)
    run = await start_run(engine, StartRequest(await create_workflow(engine, outer)))
    await drain(engine, run.dispatches)
    runs = [run.run_id]
    while found := await children_of(engine, runs[-1]):
        runs.append(found[0])
    return runs


async def stand(engine: Engine, runs: list[UUID]) -> list[str]:
    return [await status_of(engine, one) for one in runs]


async def finish(engine: Engine) -> None:
    while found := await wake_due(engine):
        await drain(engine, found)
    assert await verify(engine.db) == []


async def test_a_retry_retries_a_child_that_its_own_failure_paused(engine: Engine) -> None:
    inner = workflow([bad()], [], name="inner", onFailure="pause")
    outer = workflow([call("call", "inner"), bad("beside")], [], onFailure="pause")
    runs = await families(engine, outer, inner)
    assert await stand(engine, runs) == ["paused", "paused"]
    await drain(engine, await retry_run(engine, runs[0]))
    await finish(engine)
    assert await stand(engine, runs) == ["succeeded", "succeeded"]


async def test_a_retry_resumes_what_only_a_pause_holds(engine: Engine) -> None:
    outer = workflow([call("call", "holds"), bad("beside")], [])
    runs = await families(engine, outer, HOLDS)
    await drain(engine, await pause_run(engine, runs[0]))
    await drain(engine, await retry_run(engine, runs[0]))
    assert await stand(engine, runs) == ["running", "running"]
    await drain(engine, (await send_signal(engine, SignalRequest(runs[1], "go"))).dispatches)
    await finish(engine)
    assert await stand(engine, runs) == ["succeeded", "succeeded"]


@pytest.mark.parametrize("is_paused", [True, False])
async def test_a_retry_reaches_a_failure_deep_inside(engine: Engine, is_paused: bool) -> None:
    inner = workflow([bad()], [], name="inner", onFailure="pause")
    middle = workflow([call("call", "inner"), WAIT], [], name="middle")
    runs = await families(engine, workflow([call("call", "middle")], []), inner, middle)
    assert await stand(engine, runs) == ["running", "running", "paused"]
    if is_paused:
        await drain(engine, await pause_run(engine, runs[0]))
        assert await stand(engine, runs) == ["paused"] * 3
    await drain(engine, await retry_run(engine, runs[0]))
    await finish(engine)
    assert await stand(engine, runs) == ["running", "running", "succeeded"]
    await drain(engine, (await send_signal(engine, SignalRequest(runs[1], "go"))).dispatches)
    await finish(engine)
    assert await stand(engine, runs) == ["succeeded"] * 3


async def test_a_retry_with_nothing_to_retry_changes_nothing(engine: Engine) -> None:
    runs = await families(engine, workflow([call("call", "holds")], []), HOLDS)
    with pytest.raises(WrongState, match="this one is running"):
        await retry_run(engine, runs[0])
    await drain(engine, await pause_run(engine, runs[0]))
    with pytest.raises(WrongState, match="nothing to run again"):
        await retry_run(engine, runs[0])
    assert await stand(engine, runs) == ["paused", "paused"]


async def test_a_resume_reaches_a_grandchild_through_a_child_that_runs(engine: Engine) -> None:
    middle = workflow([call("call", "holds")], [], name="middle")
    runs = await families(engine, workflow([call("call", "middle")], []), HOLDS, middle)
    await pause_run(engine, runs[2])
    assert await stand(engine, runs) == ["running", "running", "paused"]
    await drain(engine, await resume_run(engine, runs[0]))
    assert await stand(engine, runs) == ["running"] * 3
    with pytest.raises(WrongState, match="not paused"):
        await resume_run(engine, runs[0])


async def test_a_failure_that_pauses_a_run_pauses_those_below_it(engine: Engine) -> None:
    middle = workflow([call("call", "holds")], [], name="middle")
    outer = workflow([call("call", "middle"), bad()], [], onFailure="pause")
    runs = await families(engine, outer, HOLDS, middle)
    assert await stand(engine, runs) == ["paused"] * 3
    await drain(engine, (await send_signal(engine, SignalRequest(runs[2], "go"))).dispatches)
    await finish(engine)
    assert await statuses_of(engine, runs[2]) == {"wait": "waiting"}
    await drain(engine, await retry_run(engine, runs[0]))
    await finish(engine)
    assert await stand(engine, runs) == ["succeeded"] * 3


async def test_a_failure_that_is_handled_pauses_nothing_below(engine: Engine) -> None:
    handled = [edge("bad", "aid", on="failure")]
    outer = workflow([call("call", "holds"), bad(), node("aid", "noop")], handled, onFailure="pause")
    assert await stand(engine, await families(engine, outer, HOLDS)) == ["running", "running"]


async def test_a_pause_reaches_a_grandchild_through_a_child_that_is_paused(engine: Engine) -> None:
    middle = workflow([call("call", "holds"), bad()], [], name="middle", onFailure="pause")
    runs = await families(engine, workflow([call("call", "middle")], []), HOLDS, middle)
    await resume_run(engine, runs[2])  # its parent's failure has paused it
    assert await stand(engine, runs) == ["running", "paused", "running"]
    await drain(engine, await pause_run(engine, runs[0]))
    assert await stand(engine, runs) == ["paused"] * 3
    await drain(engine, (await send_signal(engine, SignalRequest(runs[2], "go"))).dispatches)
    assert await statuses_of(engine, runs[2]) == {"wait": "waiting"}
    await drain(engine, await retry_run(engine, runs[0]))
    await finish(engine)
    assert await stand(engine, runs) == ["succeeded"] * 3
