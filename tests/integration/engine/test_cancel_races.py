"""A cancel in every state of a run: against whatever may come before, beside and after it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from headrace.engine.again import retry_run
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.execute import Finished, claim, perform
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.start import StartRequest, start_run
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch, Release, RunTask
from headrace.graph.json_types import JsonObject
from headrace.store.claims import Delivery
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.bystanders import TIDY, WORKFLOWS, Tracked, World, script
from support.drive import WORKER, NoHttp, deliver, status_of, statuses_of
from support.rows import sql
from support.scripted import with_script

T = TypeVar("T")
EXAMPLES = 150
STEPS = 40
MOST_RUNS = 3
NUMBERS = st.integers(0, 1000)


class Cancels(RuleBasedStateMachine):
    """Every order of what people, workers and the clock do to some runs.

    A rule that finds nothing to do does nothing: what is drawn must not depend on what the engine did.
    """

    def __init__(self, new_world: Callable[[], World], runner: asyncio.Runner) -> None:
        super().__init__()
        self.world = new_world()
        self.runner = runner

    def do(self, work: Coroutine[object, None, T]) -> T:
        return self.runner.run(work)

    def _run(self, number: int) -> Tracked | None:
        runs = self.world.runs
        return runs[number % len(runs)] if runs else None

    @rule(name=st.sampled_from(sorted(WORKFLOWS)))
    def start(self, name: str) -> None:
        if len(self.world.runs) < MOST_RUNS:
            self.do(self.world.start(name))

    @rule(number=NUMBERS, is_twice=st.booleans())
    def deliver(self, number: int, is_twice: bool) -> None:
        if bag := self.world.bag:
            place = number % len(bag)
            self.do(self.world.take(bag[place] if is_twice else bag.pop(place)))

    @rule(number=NUMBERS)
    def finish(self, number: int) -> None:
        if held := self.world.held:
            self.do(self.world.finish(held.pop(number % len(held))))

    @rule(number=NUMBERS)
    def pause(self, number: int) -> None:
        self._tell(pause_run, self._run(number))

    @rule(number=NUMBERS)
    def resume(self, number: int) -> None:
        self._tell(resume_run, self._run(number))

    @rule(number=NUMBERS)
    def retry(self, number: int) -> None:
        run = self._run(number)
        if run and self._tell(retry_run, run):
            run.is_cancelled, run.is_retried = False, True

    @rule(number=NUMBERS)
    def signal(self, number: int) -> None:
        self._tell(self.world.signal, self._run(number))

    def _tell(
        self, act: Callable[[Engine, UUID], Awaitable[Sequence[Dispatch]]], run: Tracked | None
    ) -> bool:
        """Whether it was not refused."""

        async def tell(run_id: UUID) -> bool:
            try:
                self.world.bag += await act(self.world.engine, run_id)
            except WrongState:
                return False
            return True

        return run is not None and self.do(tell(run.id))

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        if run := self._run(number):
            expected = self.do(self.world.may_be_cancelled(run))
            assert self.do(self.world.cancel(run)) == expected
            assert not run.is_cancelled or self.do(self.world.still_open(run)) == []

    @rule(number=NUMBERS)
    def cancel_beside(self, number: int) -> None:
        """Really at the same time as a job is done or an answer recorded."""
        world, run = self.world, self._run(number)
        if run and (world.held or world.bag):
            other = world.finish(world.held.pop()) if world.held else world.take(world.bag.pop())
            self.do(_together(world.cancel(run), other))

    @rule()
    def wake(self) -> None:
        self.do(self.world.wake())

    @rule()
    def lose_worker(self) -> None:
        self.do(self.world.lose_worker())

    def teardown(self) -> None:
        self.do(self.world.drain())
        self.do(self.world.require_all_is_well())


async def _together(*works: Awaitable[object]) -> None:
    await asyncio.gather(*works)


def test_a_cancel_in_every_state_ends_its_run_and_nothing_begins_after_it(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = Engine.over(Database(database_url, pool_size=3), with_script())

        async def store() -> dict[str, UUID]:
            return {name: await create_workflow(engine, one) for name, one in WORKFLOWS.items()}

        workflows = runner.run(store())

        def new_world() -> World:
            runner.run(sql(engine.db, "DELETE FROM workflow_runs"))
            return World(engine, workflows)

        class Here(Cancels):
            def __init__(self) -> None:
                super().__init__(new_world, runner)

        how = settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck)
        )
        try:
            run_state_machine_as_test(Here, settings=how)
        finally:
            runner.run(engine.db.close())


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    db = Database(database_url, pool_size=4)
    yield Engine.over(db, with_script())
    await db.close()


async def begun(engine: Engine, document: JsonObject) -> World:
    """A world with one run."""
    world = World(engine, {"it": await create_workflow(engine, document)})
    await world.start("it")
    return world


@pytest.mark.anyio
async def test_a_paused_run_that_is_cancelled_runs_its_finally_nodes(engine: Engine) -> None:
    world = await begun(engine, workflow([script("a"), TIDY], []))
    (run,) = world.runs
    world.bag += await pause_run(engine, run.id)
    assert await world.cancel(run)
    with pytest.raises(WrongState):
        await retry_run(engine, run.id)
    await world.drain()
    await world.require_all_is_well()
    assert await statuses_of(engine, run.id) == {"a": "cancelled", "f-tidy": "completed"}


@pytest.mark.anyio
async def test_a_paused_run_that_a_node_ends_can_end(engine: Engine) -> None:
    world = await begun(engine, workflow([node("stop", "terminate"), TIDY], []))
    (run,) = world.runs
    await world.take(world.bag.pop())
    await pause_run(engine, run.id)
    await world.finish(world.held.pop())
    await world.take(world.bag.pop())
    await world.drain()
    await world.require_all_is_well()
    assert await status_of(engine, run.id) == "failed"
    assert await statuses_of(engine, run.id) == {"stop": "completed", "f-tidy": "completed"}


async def hand_over_last(engine: Engine, finished: Finished) -> None:
    """Settles the last task of a run, and releases what it did not release at once."""
    for one in (await settle(engine, [finished])).dispatches:
        if isinstance(one, Release):
            await release(engine, one.tasks)


LAST: dict[str, JsonObject] = {
    "handed over": workflow([script("last")], []),
    "released": workflow([script("last"), script("never")], [edge("last", "never", when={"==": [1, 2]})]),
    "failing": workflow([script("last", do="fail", retryable=False)], []),
    "settled before": workflow([script("last", {"allowFailure": True}, do="fail", retryable=False)], []),
}
RACES = 250
"""Of each of the four kinds: 1,000."""


@dataclass
class Sides:
    """Two processes with one connection each."""

    worker: Engine
    canceller: Engine

    async def race(self, name: str, run_id: UUID, one: Execution, lead: float) -> bool:
        """Whether the cancel was accepted. lead: of the worker, in seconds."""
        finished = await perform(one, NoHttp())
        job: Dispatch | None = None
        if name == "settled before":
            (job,) = (await settle(self.worker, [finished])).dispatches

        async def cancel() -> bool:
            await asyncio.sleep(max(0.0, lead))
            try:
                await cancel_run(self.canceller, run_id)
            except WrongState:
                return False
            return True

        async def work() -> None:
            await asyncio.sleep(max(0.0, -lead))
            if job is None:
                await hand_over_last(self.worker, finished)
            else:
                await deliver(self.worker, job)

        was_cancelled, _ = await asyncio.gather(cancel(), work())
        return was_cancelled


@pytest.fixture
async def sides(database_url: str) -> AsyncIterator[Sides]:
    worker, canceller = (Database(database_url, pool_size=1) for _ in range(2))
    yield Sides(Engine.over(worker, with_script()), Engine.over(canceller, with_script()))
    await worker.close()
    await canceller.close()


@pytest.mark.anyio
@pytest.mark.parametrize("name", LAST)
async def test_a_cancel_and_the_end_of_the_last_task_are_not_both_what_happened(
    sides: Sides, name: str
) -> None:
    chance, worker = random.Random(name), sides.worker
    workflow_id = await create_workflow(worker, LAST[name])
    started = [await start_run(worker, StartRequest(workflow_id)) for _ in range(RACES)]
    jobs = [one for run in started for one in run.dispatches if isinstance(one, RunTask)]
    taken = await claim(worker, [Delivery(job.task, job.attempt, job.delivery) for job in jobs], WORKER)
    accepted = {
        one.task.run_id: await sides.race(name, one.task.run_id, one, chance.uniform(-0.002, 0.004))
        for one in taken
    }
    assert len(accepted) == RACES
    rows = await sql(
        worker.db,
        "SELECT r.id, r.status, r.verdict, r.open, t.status AS task FROM workflow_runs r"
        " JOIN workflow_tasks t ON t.run_id = r.id WHERE t.node_id = 'last'",
    )
    own = ("failed", "failed") if name == "failing" else ("succeeded", "completed")
    if name == "settled before":
        own = ("succeeded", "failed")
    for row in rows:
        if not accepted[row.id]:
            assert (row.status, row.task, row.verdict) == (*own, None)
        elif row.task == "cancelled":
            assert (row.status, row.verdict) == ("cancelled", "cancelled")
        else:  # it was settled before the cancel, and not yet released
            assert (row.status, row.task) == ("failed" if name == "failing" else "cancelled", own[1])
    counts = Counter(accepted.values())
    assert counts.total() == len(rows) == RACES
    assert min(counts[True], counts[False]) >= RACES / 50, counts
    assert (
        await sql(worker.db, "SELECT 1 FROM workflow_tasks WHERE finished_at IS NULL OR NOT propagated") == []
    )
    assert await sql(worker.db, "SELECT 1 FROM workflow_runs WHERE finished_at IS NULL OR open <> 0") == []
    assert await verify(worker.db) == []
