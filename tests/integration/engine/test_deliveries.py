"""Deliveries that come twice, late, or for somebody else: nothing is run twice and nothing is overwritten."""

from __future__ import annotations

import asyncio

import pytest

from headrace.engine.control import cancel_run
from headrace.engine.execute import Finished, claim, perform
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import expire_worker
from headrace.graph.dispatch import RunTask
from headrace.graph.json_types import JsonObject
from headrace.graph.outcome import Done
from headrace.store import claims
from headrace.store.claims import Delivery
from support.build import chain, edge, node, workflow
from support.drive import WORKER, NoHttp, deliver, drain, status_of, statuses_of, tasks_of

pytestmark = pytest.mark.anyio


def ordinary(document: JsonObject) -> JsonObject:
    """With a `finally` node, so that ends are followed up by dependency jobs alone."""
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    return document | {"nodes": [*nodes, node("tidy") | {"finally": True}]}


async def started(engine: Engine, document: JsonObject) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), {"n": 1}))


def first_delivery(run: Started) -> Delivery:
    job = run.dispatches[0]
    assert isinstance(job, RunTask)
    return Delivery(job.task, job.attempt, job.delivery)


async def test_a_job_that_is_delivered_twice_is_claimed_once(engine: Engine) -> None:
    run = await started(engine, chain(1))
    both = await asyncio.gather(*(claim(engine, [first_delivery(run)], WORKER) for _ in range(8)))
    assert sorted(map(len, both)) == [0] * 7 + [1]
    twice = await claim(engine, [first_delivery(run)] * 3, WORKER)
    assert twice == []


async def test_a_batch_that_names_a_task_twice_claims_it_once(engine: Engine) -> None:
    run = await started(engine, chain(1))
    assert len(await claim(engine, [first_delivery(run)] * 3, WORKER)) == 1


async def test_a_delivery_of_yesterday_and_one_of_tomorrow_claim_nothing(engine: Engine) -> None:
    run = await started(engine, chain(1))
    now = first_delivery(run)
    strange = [Delivery(now.task, 1, 2), Delivery(now.task, 2, 1), Delivery(now.task, 1, 0)]
    assert await claim(engine, strange, WORKER) == []
    assert len(await claim(engine, [now], WORKER)) == 1


async def test_a_result_after_its_task_was_taken_back_is_late_and_dropped(engine: Engine) -> None:
    run = await started(engine, chain(1))
    (execution,) = await claim(engine, [first_delivery(run)], WORKER)
    (again,) = await expire_worker(engine, WORKER)
    assert isinstance(again, RunTask)
    assert (again.attempt, again.delivery) == (1, 2)
    late = await settle(engine, [Finished(execution, Done("the first one's"))])
    assert (list(late.late), list(late.dispatches)) == ([execution.task], [])
    (second,) = await claim(engine, [Delivery(again.task, 1, 2)], WORKER)
    late = await settle(engine, [Finished(execution, Done("the first one's"))])
    assert list(late.late) == [execution.task]
    settled = await settle(engine, [await perform(second, NoHttp())])
    assert list(settled.late) == []
    late = await settle(engine, [Finished(execution, Done("the first one's"))])
    assert list(late.late) == [execution.task]
    await drain(engine, settled.dispatches)
    assert (await tasks_of(engine, run.run_id))["n0"].output == {"n": 1}
    assert await status_of(engine, run.run_id) == "succeeded"


@pytest.mark.parametrize("is_quick", [True, False])
async def test_an_answer_that_is_given_twice_in_a_batch_counts_once(engine: Engine, is_quick: bool) -> None:
    document = workflow([node("a"), node("b"), node("c")], [edge("a", "c"), edge("b", "c")])
    run = await started(engine, document if is_quick else ordinary(document))
    (execution,) = await claim(engine, [first_delivery(run)], WORKER)
    finished = await perform(execution, NoHttp())
    settled = await settle(engine, [finished, finished])
    await drain(engine, settled.dispatches)
    assert (await statuses_of(engine, run.run_id))["c"] == "pending"
    await drain(engine, run.dispatches[1:])
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_result_after_a_cancel_is_late_and_only_that_one(engine: Engine) -> None:
    runs = [await started(engine, chain(1)) for _ in range(3)]
    executions = await claim(engine, [first_delivery(run) for run in runs], WORKER)
    await cancel_run(engine, runs[1].run_id)
    settled = await settle(engine, [await perform(one, NoHttp()) for one in executions])
    assert [task.run_id for task in settled.late] == [runs[1].run_id]
    await drain(engine, settled.dispatches)
    assert [await status_of(engine, run.run_id) for run in runs] == ["succeeded", "cancelled", "succeeded"]


async def test_a_release_that_comes_again_does_nothing(engine: Engine) -> None:
    document = workflow([node("a"), node("b"), node("c")], [edge("a", "b"), edge("a", "c")])
    run = await started(engine, ordinary(document))
    (job,) = await deliver(engine, run.dispatches[0])
    task = first_delivery(run).task
    follows = await asyncio.gather(*(release(engine, [task, task]) for _ in range(6)))
    assert sorted(map(len, follows)) == [0] * 5 + [2]
    assert await deliver(engine, job) == []
    assert await statuses_of(engine, run.run_id) == {
        "a": "completed",
        "b": "queued",
        "c": "queued",
        "tidy": "pending",
    }


async def test_a_release_of_a_task_that_has_not_ended_does_nothing(engine: Engine) -> None:
    run = await started(engine, chain(2))
    assert await release(engine, [first_delivery(run).task]) == []
    assert await statuses_of(engine, run.run_id) == {"n0": "queued", "n1": "pending"}


async def test_a_worker_that_leaves_hands_its_task_to_the_next(engine: Engine) -> None:
    run = await started(engine, chain(1))
    (execution,) = await claim(engine, [first_delivery(run)], WORKER)
    async with engine.db.transaction() as tx:
        (queued,) = await claims.hand_back(tx, {execution.task: execution.claim.token})
    assert (queued.attempt, queued.delivery) == (1, 2)
    assert list((await settle(engine, [Finished(execution, Done(0))])).late) == [execution.task]
    await drain(engine, [queued.dispatch()])
    task = (await tasks_of(engine, run.run_id))["n0"]
    assert (task.status, task.lost) == ("completed", 0)
