"""Why tasks do not run: what PostgreSQL knows of each kind of wait, told down to its root."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from headrace.engine.admission import admit
from headrace.engine.control import cancel_run, pause_run
from headrace.engine.debugging import set_debug
from headrace.engine.execute import claim
from headrace.engine.explain import MOST_RUNS, explain
from headrace.engine.program import Engine
from headrace.engine.reading import run_detail
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.errors import NotFound
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.explain import Explanation, TaskExplanation
from headrace.graph.explain_causes import Cause, CauseKind, moment
from headrace.graph.explain_facts import QueueLook
from headrace.graph.holding import Debug
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.queues.names import TASKS
from headrace.store import workers
from headrace.store.claims import Delivery
from headrace.store.db import Database
from headrace.store.workers import NewWorker
from support.build import chain, edge, if_else, node, workflow
from support.drive import WORKER, drain, tasks_of
from support.family import a_map, call, children_of, with_items
from support.rows import age, sql

pytestmark = pytest.mark.anyio

K = CauseKind
HOLD = node("hold", "script", config={"do": "wait"})


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


async def started(engine: Engine, document: JsonObject, run_input: JsonValue = None) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), run_input))


async def driven(engine: Engine, document: JsonObject, run_input: JsonValue = None) -> UUID:
    """A run that has come as far as it comes by itself."""
    run = await started(engine, document, run_input)
    await drain(engine, run.dispatches)
    return run.run_id


async def work(engine: Engine) -> None:
    """A worker process that lives."""
    async with engine.db.transaction() as tx:
        await workers.register(tx, NewWorker(uuid4(), "w", "here", 1, [TASKS], 4))


def of(explanation: Explanation, node_id: str) -> TaskExplanation:
    (found,) = (task for task in explanation.tasks if task.node_id == node_id)
    return found


def kinds(causes: Sequence[Cause]) -> list[CauseKind]:
    """Of a cause, of its first cause, and so on down to the root."""
    return [causes[0].kind, *kinds(causes[0].causes)] if causes else []


async def wake_at(engine: Engine, run_id: UUID, node_id: str) -> str:
    at = (await tasks_of(engine, run_id))[node_id].wake_at
    assert at is not None
    return moment(at)


async def test_a_pending_task_waits_for_the_signal_before_it(engine: Engine) -> None:
    signal = node("approve", "waitSignal", config={"name": "go", "timeout": "1h"})
    nodes = [signal, node("b"), node("c")]
    run_id = await driven(engine, workflow(nodes, [edge("approve", "b"), edge("b", "c")]))
    until = await wake_at(engine, run_id, "approve")

    found = await explain(engine, run_id)

    assert of(found, "approve").text == f"waits for signal go until {until}"
    assert of(found, "b").text == f"waits for node approve, which waits for signal go until {until}"
    assert of(found, "c").text == (
        f"waits for node b, which waits for node approve, which waits for signal go until {until}"
    )
    assert kinds(of(found, "c").causes) == [K.NODE, K.NODE, K.SIGNAL]
    assert found.text == f"waits for node approve, which waits for signal go until {until}"


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (node("n", "delay", config={"duration": 1, "unit": "hours"}), "waits until {until}"),
        (
            node("n", "script", config={"do": "fail", "message": "down"}, retry={"jitter": False}),
            "waits for attempt 2 after ScriptError: down until {until}",
        ),
        (
            node("n", "approval", config={"message": "Pay?", "timeout": "1h"}),
            'waits for an approval "Pay?" until {until}',
        ),
        (
            node("n", "question", config={"question": "Who?", "actor": "Ada", "timeout": "1h"}),
            'waits for an answer of Ada to its question "Who?" until {until}',
        ),
        (
            node("n", "waitUntil", config={"condition": {"var": "input.no"}, "every": "1m", "timeout": "1h"}),
            "looks at its condition again at {until}",
        ),
    ],
)
async def test_each_wait_says_what_for_and_until_when(engine: Engine, waiting: JsonObject, said: str) -> None:
    run_id = await driven(engine, workflow([waiting], []))
    found = of(await explain(engine, run_id), "n")
    assert found.text == said.format(until=await wake_at(engine, run_id, "n"))


async def test_a_wait_that_is_over_needs_a_worker_s_clock(engine: Engine) -> None:
    run_id = await driven(engine, workflow([HOLD], []))
    await sql(engine.db, "UPDATE workflow_tasks SET wake_at = now() - interval '1 minute'")
    found = of(await explain(engine, run_id), "hold")
    assert kinds(found.causes) == [K.TIMER, K.NO_WORKER]
    await work(engine)
    assert kinds(of(await explain(engine, run_id), "hold").causes) == [K.TIMER]


async def test_a_queued_task_says_what_keeps_it_from_being_taken(engine: Engine) -> None:
    run = await started(engine, chain(2))

    alone = of(await explain(engine, run.run_id), "n0")
    assert alone.text.endswith(": no worker process of Headrace listens on workflow-tasks")
    looked = of(await explain(engine, run.run_id, {TASKS: QueueLook(1, 0)}), "n0")
    assert looked.text.endswith(": no worker listens on workflow-tasks")
    by_others = of(await explain(engine, run.run_id, {TASKS: QueueLook(38, 1)}), "n0")
    assert by_others.text.endswith(": up to 37 jobs are ahead in workflow-tasks")

    await work(engine)
    busy = of(await explain(engine, run.run_id, {TASKS: QueueLook(38, 1)}), "n1")
    assert kinds(busy.causes) == [K.NODE, K.QUEUED, K.JOBS_AHEAD]
    assert "waits for node n0, which has been queued since " in busy.text
    fresh = of(await explain(engine, run.run_id, {TASKS: QueueLook(0, 1)}), "n0")
    assert "it was delivered; the sweep looks for its job after " in fresh.text
    await age(engine.db, 60)
    late = of(await explain(engine, run.run_id, {TASKS: QueueLook(0, 1)}), "n0")
    assert late.text.endswith("when it comes next")


async def test_a_worker_without_a_heartbeat_does_not_listen(engine: Engine) -> None:
    run = await started(engine, chain(1))
    await work(engine)
    assert kinds(of(await explain(engine, run.run_id), "n0").causes) == [K.QUEUED, K.LOST_JOB]
    await sql(engine.db, "UPDATE workflow_workers SET last_heartbeat = now() - interval '2 minutes'")
    assert kinds(of(await explain(engine, run.run_id), "n0").causes) == [K.QUEUED, K.NO_WORKER]


async def test_what_runs_is_the_root_of_what_follows(engine: Engine) -> None:
    run = await started(engine, chain(2))
    (job,) = run.dispatches
    assert isinstance(job, RunTask)
    await claim(engine, [Delivery(job.task, 1, 1)], WORKER)

    found = await explain(engine, run.run_id)

    assert [task.node_id for task in found.tasks] == ["n1"]
    assert kinds(found.tasks[0].causes) == [K.NODE, K.RUNNING]
    assert found.text.startswith("waits for node n0, which has run since ")


PRINTER: JsonObject = {"concurrency": {"limit": 1, "key": "printer"}}


async def test_a_key_names_the_run_that_holds_it(engine: Engine) -> None:
    holder = await started(engine, workflow([node("a", "script", **PRINTER)], []))
    await _claim_and_admit(engine, holder.dispatches)
    run_id = await driven(engine, workflow([node("b", "script", **PRINTER), node("c")], [edge("b", "c")]))

    found = await explain(engine, run_id)

    (cause,) = of(found, "b").causes
    assert (cause.kind, cause.run_id, cause.node_id) == (K.KEY, holder.run_id, "a")
    assert cause.since is not None
    said = f"waits for key printer, held by run {holder.run_id} (node a) since {moment(cause.since)}"
    assert of(found, "c").text == f"waits for node b, which {said}"


async def _claim_and_admit(engine: Engine, dispatches: Sequence[Dispatch]) -> None:
    """What a worker does that then hangs: it takes the tasks and passes the limits."""
    for one in dispatches:
        assert isinstance(one, RunTask)
        (execution,) = await claim(engine, [Delivery(one.task, one.attempt, one.delivery)], WORKER)
        assert await admit(execution) is None


async def test_a_rate_says_until_when(engine: Engine) -> None:
    slow: JsonObject = {"rate": {"count": 1, "per": "1h", "key": "mail"}}
    run_id = await driven(engine, workflow([node("a", "script", **slow), node("b", "script", **slow)], []))
    until = await wake_at(engine, run_id, "b")
    assert of(await explain(engine, run_id), "b").text == f"waits for the rate limit mail until {until}"


async def test_a_breakpoint_is_named(engine: Engine) -> None:
    run = await started(engine, chain(2))
    await set_debug(engine, run.run_id, Debug(frozenset({"n1"})))
    await drain(engine, run.dispatches)
    assert of(await explain(engine, run.run_id), "n1").text == "stands at the breakpoint before node n1"


async def test_a_pause_says_why_and_what_comes_after_it(engine: Engine) -> None:
    run = await started(engine, workflow([node("s", "waitSignal", config={"name": "go"}), node("q")], []))
    await drain(engine, run.dispatches[:1])
    await pause_run(engine, run.run_id, "night")

    found = await explain(engine, run.run_id)

    assert found.causes[0].kind is K.PAUSED
    assert found.causes[0].since is not None
    assert found.text.startswith(f"is paused (night) since {moment(found.causes[0].since)}; ")
    assert of(found, "s").text == "is held by the pause of its run; waits for signal go"
    assert of(found, "q").text == "is held by the pause of its run"


async def test_children_are_counted_and_told_down_to_their_roots(engine: Engine) -> None:
    document = workflow([a_map("map", HOLD, maxConcurrency=2), node("after")], [edge("map", "after")])
    run_id = await driven(engine, document, {"items": [1, 2, 3]})
    first = (await children_of(engine, run_id))[0]
    until = await wake_at(engine, first, "hold")

    found = await explain(engine, run_id)

    counted = "waits for its children (0 of 3 have ended, at most 2 at once)"
    below = f"child 0 (run {first}) waits for node hold, which waits until {until}"
    assert of(found, "after").text == f"waits for node map, which {counted}: {below}"
    (cause,) = of(found, "map").causes
    assert [one.details["index"] for one in cause.causes] == [0, 1]
    waiting_child = await explain(engine, (await children_of(engine, run_id))[2])
    assert waiting_child.text == "waits for its turn among the children of its parent"


async def test_a_chain_of_sub_workflows_is_told_to_its_end(engine: Engine) -> None:
    await create_workflow(engine, workflow([HOLD], []) | {"name": "inner"})
    await create_workflow(engine, workflow([call("call", "inner")], []) | {"name": "middle"})
    run_id = await driven(engine, workflow([call("top", "middle")], []))

    (cause,) = of(await explain(engine, run_id), "top").causes

    below = [K.CHILD, K.NODE]
    assert kinds([cause]) == [K.CHILDREN, *below, K.CHILDREN, *below, K.TIMER]
    (middle,) = await children_of(engine, run_id)
    (inner,) = await children_of(engine, middle)
    waits = f"waits for its sub-workflow: run {inner} waits for node hold, which waits until "
    assert of(await explain(engine, run_id), "top").text.startswith(
        f"waits for its sub-workflow: run {middle} waits for node call, which {waits}"
    )


async def test_a_wide_family_is_told_in_part(engine: Engine) -> None:
    wide = [a_map(f"m{number}", HOLD, "${items}", maxConcurrency=3) for number in range(MOST_RUNS // 3 + 2)]
    run_id = await driven(engine, workflow(wide, []), {"items": [1, 2, 3]})
    found = await explain(engine, run_id)
    told = [len(task.causes[0].causes) for task in found.tasks]
    assert sum(told) == MOST_RUNS
    assert (told[0], told[-1], found.has_more) == (3, 0, True)


async def test_a_run_behind_a_key_names_the_run_before_it(engine: Engine) -> None:
    document = workflow([HOLD], [], concurrency={"limit": 1})
    workflow_id = await create_workflow(engine, document)
    runs = [await start_run(engine, StartRequest(workflow_id, None)) for _ in range(3)]

    found = await explain(engine, runs[2].run_id)

    (cause,) = found.causes
    assert (cause.kind, cause.run_id, cause.details["ahead"]) == (K.KEY, runs[0].run_id, 1)
    assert f"held by run {runs[0].run_id} since " in found.text
    assert found.text.endswith(", and 1 come first")
    assert found.tasks == ()


async def test_what_ended_without_running_names_the_failed_node(engine: Engine) -> None:
    bad = node("bad", "script", config={"do": "fail", "message": "no", "retryable": False})
    document = workflow([bad, node("b"), node("c")], [edge("bad", "b"), edge("b", "c")])
    run_id = await driven(engine, document)

    found = await explain(engine, run_id)

    assert found.text == "failed because of node bad, which failed: ScriptError: no"
    assert of(found, "bad").text == "failed: ScriptError: no"
    assert of(found, "c").text == (
        "does not run (join 'all' was not met) because of node b, "
        "which does not run (join 'all' was not met) because of node bad, which failed: ScriptError: no"
    )
    assert found.lines() == {}


async def test_what_was_skipped_names_the_node_that_went_another_way(engine: Engine) -> None:
    choice = if_else("d", "n", 5)
    run_id = await driven(engine, workflow([choice, node("n")], [edge("d", "n", "out-true")]), {"n": 1})
    text = of(await explain(engine, run_id), "n").text
    assert text == "was skipped (join 'all' was not met) because of node d, which completed"


async def test_what_was_cancelled_says_so(engine: Engine) -> None:
    run = await started(engine, chain(2))
    await cancel_run(engine, run.run_id)
    assert of(await explain(engine, run.run_id), "n1").text == "was cancelled: the run was cancelled"


async def test_a_finally_node_waits_for_all_others(engine: Engine) -> None:
    run_id = await driven(engine, workflow([HOLD, node("clean", **{"finally": True})], []))
    text = of(await explain(engine, run_id), "clean").text
    assert text.startswith("runs when all others have ended, and waits for node hold, which waits until ")


async def test_an_unknown_run_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound):
        await explain(engine, uuid4())


async def test_a_run_s_status_has_a_line_for_each_task_that_does_not_run(engine: Engine) -> None:
    document = workflow([a_map("map", HOLD), node("after")], [edge("map", "after")])
    run_id = await driven(engine, document, {"items": [1]})
    detail = await run_detail(engine, run_id)
    lines = {task.node_id: detail.explanations[task.id] for task in detail.tasks}
    assert lines["after"].startswith("waits for node map, which waits for its children (0 of 1 have ended")
    (inner,) = detail.inner
    assert detail.explanations[inner.task.id].startswith("waits until ")
