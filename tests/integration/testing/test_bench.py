"""Runs that a test looks into, moves on and lets time pass for."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from headrace.errors import InvalidInput, NotFound, WrongState
from headrace.graph.dispatch import RunTask, Stop, Withdraw
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.testing import FakeHttp, RecordingBroker, bench
from support.build import chain, edge, node, workflow
from support.family import call

pytestmark = pytest.mark.anyio

FORM: JsonObject = {"type": "object", "required": ["sum"]}
ASK = workflow(
    [node("ask", "approval", config={"timeout": "30d", "form": FORM}), node("paid"), node("late")],
    [edge("ask", "paid", "out-approve"), edge("ask", "late", "out-timeout")],
)


async def test_nothing_moves_by_itself() -> None:
    async with bench() as b:
        run = await b.start(chain(2))
        assert (await b.result(run)).statuses == {"n0": "queued", "n1": "pending"}
        assert [type(one) for one in b.broker.pending] == [RunTask]

        await b.drain()

        assert (await b.result(run)).status == "succeeded"
        assert b.broker.pending == []
        jobs = [one for one in b.broker.pushed if isinstance(one, RunTask)]
        assert [one.node_id for one in jobs] == ["n0", "n1"]


async def test_a_decision_a_day_before_it_is_too_late() -> None:
    async with bench() as b:
        decided, forgotten = await b.start(ASK), await b.start(ASK)
        await b.clock.skip(days=29)
        assert (await b.result(decided)).waiting == {"ask": "approval"}

        await b.approve(decided, "ask", data={"sum": 5}, by="Ada")
        await b.clock.skip(hours=23, minutes=59)
        assert (await b.result(decided)).statuses["paid"] == "completed"
        assert (await b.result(forgotten)).waiting == {"ask": "approval"}

        await b.clock.skip(minutes=2)
        assert (await b.result(forgotten)).statuses["late"] == "completed"
        with pytest.raises(WrongState):
            await b.approve(forgotten, "ask", data={"sum": 5})


async def test_a_wrong_answer_is_refused_with_its_reason() -> None:
    async with bench() as b:
        run = await b.start(ASK)
        await b.drain()

        with pytest.raises(InvalidInput) as refused:
            await b.approve(run, "ask", "perhaps")
        assert "decision" in "".join(refused.value.__notes__)
        with pytest.raises(NotFound, match="ask, paid, late"):
            await b.approve(run, "nobody")
        assert (await b.result(run)).waiting == {"ask": "approval"}


async def test_signals_and_answers() -> None:
    document = workflow(
        [node("wait", "waitSignal", config={"name": "go"}), node("why", "question")], [edge("wait", "why")]
    )
    async with bench() as b:
        run = await b.start(document)
        await b.signal(run, "go", {"n": 1}, id="one")
        await b.signal(run, "go", {"n": 1}, id="one")
        await b.drain()
        assert (await b.result(run)).tasks["wait"].output == {"n": 1}

        await b.answer(run, "why", "because", by="Ada")
        await b.drain()
        output = (await b.result(run)).tasks["why"].output
        assert isinstance(output, dict)
        assert (output["answer"], output["by"]) == ("because", "Ada")


async def test_what_falls_due_in_a_skip_is_done_at_its_time() -> None:
    """Delays of ten days, one after the other, each count from the end of the one before."""
    ten = [node(name, "delay", config={"delayType": "days", "delayValue": 10}) for name in ("a", "b", "c")]
    async with bench() as b:
        run = await b.start(workflow(ten, [edge("a", "b"), edge("b", "c")]))

        await b.clock.skip(days=25)
        assert (await b.result(run)).statuses == {"a": "completed", "b": "completed", "c": "waiting"}
        await b.clock.skip(days=5, seconds=1)
        assert (await b.result(run)).status == "succeeded"


async def test_time_does_not_run_backwards() -> None:
    async with bench() as b:
        with pytest.raises(ValueError, match="forward"):
            await b.clock.skip(days=-1)


async def test_all_time_limits_are_skipped_to() -> None:
    limited = node("ask", "approval", timeouts={"total": "2d"})
    async with bench() as b:
        run = await b.start(workflow([limited], []))
        await b.drain(skip=True)
        error = (await b.result(run)).tasks["ask"].error
    assert error is not None
    assert error["type"] == "TotalTimeout"


async def test_a_cancelled_run_takes_its_jobs_back() -> None:
    async with bench() as b:
        run = await b.start(chain(3))
        await b.cancel(run)

        assert [type(one) for one in b.broker.pending] == []
        await b.drain()
        result = await b.result(run)
        assert result.status == "cancelled"
        assert set(result.statuses.values()) == {"cancelled"}


async def test_a_saved_workflow_is_called_by_its_name() -> None:
    async with bench() as b:
        saved = await b.save({**chain(1), "name": "inner"})
        outer = await b.start(workflow([call("inner", "inner")], []))
        alone = await b.start(saved)

        await b.drain()

        assert (await b.result(outer)).status == (await b.result(alone)).status == "succeeded"


async def test_the_order_of_jobs_can_be_drawn() -> None:
    async with bench() as b:
        runs = [await b.start(chain(3)) for _ in range(4)]
        await b.drain(order=random.Random(1))
        assert {(await b.result(run)).status for run in runs} == {"succeeded"}
        assert _runs(b.broker) != sorted(_runs(b.broker)), "the runs were done one after the other"


def _runs(broker: RecordingBroker) -> list[UUID]:
    return [one.task.run_id for one in broker.pushed[4:] if isinstance(one, RunTask)]


async def test_every_bench_is_empty_and_benches_do_not_meet() -> None:
    async with bench() as one, bench() as other:
        run = await one.start(chain(1))
        with pytest.raises(NotFound):
            await other.result(run)
        name = one.engine.db.url
    async with bench() as again:
        assert again.engine.db.url == name, "a database is used again"
        with pytest.raises(NotFound):
            await again.result(run)


async def test_a_failing_test_is_not_taken_for_a_database_that_is_away() -> None:
    with pytest.raises(TimeoutError, match="of the test"):
        async with bench():
            raise TimeoutError("of the test")


def test_a_recording_broker_hands_out_what_was_not_withdrawn() -> None:
    first, second = (RunTask(TaskId(UUID(int=1), place), 1, 1, "n", 60.0) for place in (0, 1))
    broker = RecordingBroker()

    broker.push([first, second, Stop((first.task,))])
    broker.push([Withdraw((first.job_id,))])

    assert broker.take() == second
    assert broker.pending == []
    assert len(broker.pushed) == 4
    with pytest.raises(IndexError):
        broker.take()


async def test_http_is_answered_by_the_fullest_key() -> None:
    fetch = node("call", "apiCall", config={"url": "https://x.example/a?b=1"})
    for answers, expected in (
        ({"GET *": 1, "GET https://x.example/a": 2, "GET https://x.example/a?b=1": 3}, 3),
        ({"GET *": 1, "GET https://x.example/a": 2}, 2),
        ({"POST *": 0, "GET *": 1}, 1),
    ):
        http = FakeHttp(dict(answers))
        async with bench(http=http) as b:
            run = await b.start(workflow([fetch], []))
            await b.drain()
            output = (await b.result(run)).tasks["call"].output
            assert isinstance(output, dict)
            assert output["data"] == expected
        assert len(http.calls("GET https://x.example/*")) == 1
        assert http.calls("POST *") == []
