"""What a worker counted is told to the database once, whenever that answers."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest

from headrace.engine.execute import claim
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.errors import StoreUnavailable
from headrace.graph.dispatch import RunTask
from headrace.graph.outcome import Done, Failed
from headrace.graph.statistics import End, Key, Tally
from headrace.store import statistics
from headrace.store.claims import Delivery
from headrace.store.db import Database
from headrace.store.statistics import Wanted
from headrace_worker.counting import Counting
from support.build import chain

pytestmark = pytest.mark.anyio

NOTES = Key("default", "notification")


@pytest.fixture
async def execution(engine: Engine) -> Execution:
    """A claimed `notification`."""
    workflow_id = await create_workflow(engine, chain(1))
    (job,) = (await start_run(engine, StartRequest(workflow_id))).dispatches
    assert isinstance(job, RunTask)
    (claimed,) = await claim(engine, [Delivery(job.task, job.attempt, job.delivery)], uuid4())
    return claimed


async def told(db: Database) -> dict[Key, Tally]:
    return {one.key: one.tally for one in await db.transact(partial(statistics.read, wanted=Wanted()))}


async def test_each_figure_is_told_once(db: Database, execution: Execution) -> None:
    counting = Counting()
    counting.add(execution, 1.0, Done(None), End.SUCCESS)
    await counting.tell(db)
    await counting.tell(db)
    assert (await told(db))[NOTES].count == 1
    counting.add(execution, 1.0, Done(None), End.SUCCESS)
    await counting.tell(db)
    assert (await told(db))[NOTES].count == 2


async def test_what_could_not_be_told_is_told_later(db: Database, execution: Execution) -> None:
    counting, away = Counting(), Database("postgresql://127.0.0.1:1/nothing")
    counting.add(execution, 1.0, Done(None), End.SUCCESS)
    with pytest.raises(StoreUnavailable):
        await counting.tell(away)
    counting.add(execution, 3.0, Failed("no"), End.RETRY)
    await counting.tell(db)
    tally = (await told(db))[NOTES]
    assert (tally.success, tally.failure, tally.retries, tally.busy) == (1, 1, 1, 4_000_000)


@pytest.mark.parametrize(
    ("kind", "died"), [("ProcessDied", 1), ("MemoryError", 1), ("Timeout", 0), ("ValueError", 0)]
)
async def test_who_dies_is_counted(db: Database, execution: Execution, kind: str, died: int) -> None:
    counting = Counting()
    counting.add(execution, 1.0, Failed("gone", kind=kind), End.FAILURE)
    await counting.tell(db)
    assert (await told(db))[NOTES].died == died


async def test_the_wait_in_the_queue_is_the_claims(db: Database, execution: Execution) -> None:
    counting = Counting()
    counting.add(execution, 1.0, Done(None), End.SUCCESS)
    await counting.tell(db)
    assert execution.claim.waited > 0
    assert (await told(db))[NOTES].wait.average == pytest.approx(execution.claim.waited, abs=1e-5)
