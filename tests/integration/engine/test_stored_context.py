"""`context()`, `Fail` and `Retry` in stored activities: in a sandbox as in a process of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from headrace.engine import reading
from headrace.engine.activities import Upload, upload
from headrace.engine.activity_reading import set_trusted
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.graph.json_types import JsonObject
from headrace.nodes.lanes import Heartbeat, Program, SandboxFailed, usual_limits
from headrace.sandbox.lane import check_source
from headrace.store.results import Task
from headrace.testing import FakeHttp, process
from headrace_worker.lanes import WorkerLanes
from support.api import settings_for
from support.drive import status_of, tasks_of
from support.fleet import eventually

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "sandboxed"])

TELLS = """
from headrace import context, worker_task

@worker_task("tells", timeout="30s")
{kind}def tells(x):
    print("printed first")
    here = context()
    here.logger.warning("saw %s of %d", x, 2)
    here.heartbeat(0.5, {{"at": x}})
    here.raise_if_cancelled()
    return {{
        "run": here.run_id, "node": [here.node_id, here.node_name], "activity": here.activity,
        "attempt": here.attempt, "key": here.idempotency_key, "input": here.input, "over": here.cancelled,
    }}
"""

FAILS = """
from headrace import Fail, Retry, context

def fails(how):
    print("before", how)
    if how == "final":
        raise Fail("no such card", kind="CardDeclined", details={"code": 51})
    if how == "again" and context().attempt == 1:
        raise Retry("busy", after=0.01)
    if how == "odd":
        raise Fail("odd", details={1, 2})
    return how
"""


class Listening(WorkerLanes):
    """Lanes that keep the heartbeats."""

    def heartbeat(self, task: str, beat: Heartbeat) -> None:  # noqa: ARG002
        heard.append(beat)


heard: list[Heartbeat] = []


@pytest.fixture
async def lanes() -> AsyncIterator[WorkerLanes]:
    heard.clear()
    one = Listening.of(settings_for("", "", HEADRACE_ISOLATED_PROCESSES=1))
    yield one
    await one.close()


async def to_end(engine: Engine, lanes: WorkerLanes, started: Started) -> None:
    waiting = list(started.dispatches)

    async def has_ended() -> bool:
        waiting.extend(await process.tick(engine))
        while waiting:
            waiting.extend(await process.deliver(engine, waiting.pop(0), FakeHttp(), lanes))
        return bool(await status_of(engine, started.run_id) != "running")

    await eventually(has_ended, 30, "the run ends")


async def run(
    engine: Engine, lanes: WorkerLanes, source: str, name: str, given: JsonObject
) -> tuple[Task, str]:
    """Its task, and the run's log."""
    await upload(engine, Upload(name, "python", source), check_source)
    retry: JsonObject = {"maxAttempts": 2, "initial": "10ms"}
    node: JsonObject = {"id": "n", "name": "The node", "type": name, "config": given, "retry": retry}
    started = await start_run(
        engine, StartRequest(await create_workflow(engine, {"name": "w", "nodes": [node]}), {"whole": True})
    )
    await to_end(engine, lanes, started)
    log = str((await reading.run_detail(engine, started.run_id)).log)
    return (await tasks_of(engine, started.run_id))["n"], log


@BOTH
@pytest.mark.parametrize("kind", ["", "async "], ids=["sync", "async"])
async def test_context_tells_of_the_task_wherever_it_runs(
    engine: Engine, lanes: WorkerLanes, trusted: bool, kind: str
) -> None:
    await set_trusted(engine, trusted)
    task, log = await run(engine, lanes, TELLS.format(kind=kind), "tells", {"x": 7})
    assert task.output == {
        "run": str(task.id.run_id),
        "node": ["n", "The node"],
        "activity": "tells",
        "attempt": 1,
        "key": str(task.id),
        "input": {"whole": True},
        "over": False,
    }, task.error
    assert log.index("printed first") < log.index("saw 7 of 2")
    assert heard == ([Heartbeat(0.5, {"at": 7})] if trusted else [])


@BOTH
async def test_failures_say_whether_another_attempt_helps(
    engine: Engine, lanes: WorkerLanes, trusted: bool
) -> None:
    await set_trusted(engine, trusted)
    final, log = await run(engine, lanes, FAILS, "fails", {"how": "final"})
    assert (final.status, final.attempt) == ("failed", 1)
    assert final.error is not None
    assert (final.error["type"], final.error["details"]) == ("CardDeclined", {"code": 51})
    assert "before final" in log
    again, _ = await run(engine, lanes, FAILS, "fails", {"how": "again"})
    assert (again.status, again.attempt, again.output) == ("completed", 2, "again")
    odd, _ = await run(engine, lanes, FAILS, "fails", {"how": "odd"})
    assert (odd.status, odd.attempt) == ("failed", 1)


@BOTH
async def test_an_input_that_does_not_fit_is_not_tried_again(
    engine: Engine, lanes: WorkerLanes, trusted: bool
) -> None:
    await set_trusted(engine, trusted)
    source = "def two(a, b):\n    return a + b\n"
    await upload(engine, Upload("two", "python", source), check_source)
    node: JsonObject = {"id": "n", "type": "two", "retry": {"maxAttempts": 2, "initial": "10ms"}}
    workflow = await create_workflow(engine, {"name": "w", "nodes": [node]})
    started = await start_run(engine, StartRequest(workflow, [1, 2]))
    await to_end(engine, lanes, started)
    task = (await tasks_of(engine, started.run_id))["n"]
    assert task.error is not None
    assert (task.status, task.attempt, task.error["type"]) == ("failed", 1, "BadInput")


async def test_a_code_node_knows_its_task(engine: Engine, lanes: WorkerLanes) -> None:
    code = "from headrace import context\nhere = context()\nreturn [here.node_id, here.input]"
    node: JsonObject = {"id": "n", "type": "code", "config": {"code": code, "input": 5}}
    workflow = await create_workflow(engine, {"name": "w", "nodes": [node]})
    started = await start_run(engine, StartRequest(workflow, {"whole": True}))
    await to_end(engine, lanes, started)
    assert (await tasks_of(engine, started.run_id))["n"].output == ["n", {"whole": True}]


async def test_where_there_is_no_task_there_is_no_context(lanes: WorkerLanes) -> None:
    program = Program("python", "from headrace import context\ncontext()")
    with pytest.raises(SandboxFailed, match="no activity runs here") as caught:
        await lanes.run_sandboxed(program, None, usual_limits("python"))
    assert caught.value.failed.kind == "NotInActivity"


@pytest.mark.parametrize(
    "lie",
    [
        "error.details = {1, 2}",
        "error.details = 'x' * 10_000",
        "error.details = float('nan')",
        "error.kind = error.message = object()",
        "error.after = 'soon'",
        "error.after = float('nan')",
        "error.after = 10 ** 400",
        "error.after = -1",
    ],
)
async def test_a_failure_of_a_strangers_making_is_a_failure(lanes: WorkerLanes, lie: str) -> None:
    source = f"from headrace import Retry\nerror = Retry('busy')\n{lie}\nraise error"
    with pytest.raises(SandboxFailed) as caught:
        await lanes.run_sandboxed(Program("python", source), None, usual_limits("python"))
    assert caught.value.failed.kind != "ProcessDied", caught.value.failed
    assert caught.value.failed.details is None
    assert caught.value.failed.retry_after is None
