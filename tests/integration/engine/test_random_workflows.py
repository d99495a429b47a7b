"""Random workflows on the real engine, in random orders: each ends in a way that the graph allows.

The oracle is independent of the engine's decisions: it tries all orders of answers, news and cancels.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest

from headrace.engine.control import cancel_run, resume_run
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch, Release, RunTask
from headrace.store.db import Database
from support.allowed import Allowed, End
from support.build import node, workflow
from support.crew import Crew
from support.drive import deliver, status_of, tasks_of
from support.family import a_map
from support.rows import sql
from support.scenes import Act, Features, Scene, random_scene, with_act

pytestmark = pytest.mark.anyio

SCENES = 30
"""Of each kind."""

KINDS = {
    "early joins": Features(size=8),
    "losers": Features(losers=True),
    "fail fast": Features(fail_fast=True),
    "terminate": Features(ends=True, finals=True),
    "compensations": Features(undo=True, finals=True),
    "maps and loops": Features(size=5, bodies=2),
    "maps and losers": Features(size=5, bodies=1, losers=True, finals=True),
    "everything": Features(size=6, losers=True, fail_fast=True, ends=True, finals=True, undo=True, bodies=1),
}
NEVER = 10_000


@dataclass
class Stage:
    """An engine whose nodes play roles. cancelled: the runs whose cancel was not refused."""

    engine: Engine
    act: Act
    cancelled: set[UUID] = field(default_factory=set)

    async def start(self, scene: Scene) -> Started:
        return await start_run(self.engine, StartRequest(await create_workflow(self.engine, scene.document)))

    async def cancel(self, run_id: UUID) -> list[Dispatch]:
        try:
            dispatches = await cancel_run(self.engine, run_id)
        except WrongState:
            return []
        self.cancelled.add(run_id)
        return dispatches

    async def end_of(self, run_id: UUID) -> End:
        tasks = await tasks_of(self.engine, run_id)
        statuses = {name: task.status.value for name, task in tasks.items()}
        return End(statuses, await status_of(self.engine, run_id), run_id in self.cancelled)


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    db = Database(database_url, pool_size=12)
    act = Act()
    yield Stage(Engine.over(db, with_act(act)), act)
    await db.close()


async def play(stage: Stage, started: Started, rng: random.Random, cancel_after: int) -> None:
    """Delivers until nothing is left, some of it twice; cancels the run after so many deliveries."""
    waiting, delivered = list(started.dispatches), 0
    while waiting:
        if delivered == cancel_after:
            ran = len(stage.act.ran)
            waiting += await stage.cancel(started.run_id)
        place = rng.randrange(len(waiting))
        job = waiting[place] if rng.random() < 0.1 else waiting.pop(place)
        waiting += await deliver(stage.engine, job)
        delivered += 1
    if started.run_id in stage.cancelled:
        await nothing_ran_after(stage, started.run_id, stage.act.ran[ran:])


async def nothing_ran_after(stage: Stage, run_id: UUID, ran: Sequence[str]) -> None:
    """After a cancel, nothing of the run's graph: only what undoes it and its `finally` nodes."""
    tasks = {str(task.id): name for name, task in (await tasks_of(stage.engine, run_id)).items()}
    assert {tasks[key][0] for key in ran if key in tasks} <= {"f", "u"}


async def require_all_ended(stage: Stage) -> None:
    """Runs, tasks and news of children; the history and the counters; and how often each node's code ran."""
    assert await verify(stage.engine.db) == []
    assert await sql(stage.engine.db, "SELECT 1 FROM workflow_runs WHERE finished_at IS NULL") == []
    assert await sql(stage.engine.db, "SELECT 1 FROM workflow_tasks WHERE NOT propagated") == []
    ran = stage.act.counted()
    rows = await sql(
        stage.engine.db,
        "SELECT run_id || '-' || position AS key, status, started_at FROM workflow_tasks"
        " WHERE node_type = 'act'",
    )
    for row in rows:
        if row.status in ("completed", "failed"):
            assert (row.key, ran[row.key]) == (row.key, 1)
        else:
            assert ran[row.key] <= (row.status == "cancelled" and row.started_at is not None)


def require_allowed(seed: object, scene: Scene, end: End) -> None:
    allowed = Allowed(scene)
    assert allowed.has(end), (seed, end, scene.document)
    others = {"succeeded", "failed", "cancelled"} - {end.status}
    if not end.was_cancelled and not any(role.ends for role in scene.roles.values()):
        assert not any(allowed.has(end._replace(status=other)) for other in others)


def scenes(kind: str, first: int = 0) -> list[tuple[Scene, random.Random]]:
    rngs = [random.Random(f"{kind} {seed}") for seed in range(first, first + SCENES)]
    return [(random_scene(rng, KINDS[kind]), rng) for rng in rngs]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_end_is_allowed_whatever_the_order(stage: Stage, kind: str) -> None:
    made = scenes(kind)
    runs = [await stage.start(scene) for scene, _ in made]

    async def work(lane: int) -> None:
        for started, (_, rng) in list(zip(runs, made, strict=True))[lane::4]:
            await play(stage, started, rng, rng.choice((NEVER, rng.randrange(6), rng.randrange(25))))

    await asyncio.gather(*map(work, range(4)))
    for number, (started, (scene, _)) in enumerate(zip(runs, made, strict=True)):
        require_allowed((kind, number), scene, await stage.end_of(started.run_id))
    assert len(stage.cancelled) >= SCENES / 10
    await require_all_ended(stage)


async def test_runs_that_pause_on_failure_end_as_others_once_they_are_resumed(stage: Stage) -> None:
    features = Features(size=6, pauses=True, losers=True, ends=True, finals=True, undo=True, bodies=1)
    pauses = 0
    for seed in range(2 * SCENES):
        rng = random.Random(f"pauses {seed}")
        scene = random_scene(rng, features)
        started = await stage.start(scene)
        await play(stage, started, rng, NEVER)
        while await status_of(stage.engine, started.run_id) == "paused":
            assert await verify(stage.engine.db) == []
            pauses += 1
            resumed = await resume_run(stage.engine, started.run_id)
            jobs = [*resumed, *await wake_due(stage.engine)]
            await play(stage, replace(started, dispatches=jobs), rng, NEVER)
        require_allowed(seed, scene, await stage.end_of(started.run_id))
    assert pauses > SCENES / 2
    await require_all_ended(stage)


async def test_every_end_is_allowed_with_many_workers_at_once(stage: Stage) -> None:
    """Eight of them take batches of all runs, some jobs twice, while somebody cancels half of the runs."""
    made = [one for kind in KINDS for one in scenes(kind, first=1000)]
    runs = [await stage.start(scene) for scene, _ in made]
    crew = Crew(stage.engine, random.Random(7))

    async def cancel(started: Started, moment: int) -> None:
        while len(stage.act.ran) < moment and not work.done():
            await asyncio.sleep(0.001)
        crew.push(await stage.cancel(started.run_id))

    work = asyncio.create_task(crew.deliver([one for started in runs for one in started.dispatches]))
    await asyncio.gather(*(cancel(one, random.Random(at).randrange(900)) for at, one in enumerate(runs[::2])))
    await work
    await crew.deliver([])
    for number, (started, (scene, _)) in enumerate(zip(runs, made, strict=True)):
        require_allowed(number, scene, await stage.end_of(started.run_id))
    assert len(stage.cancelled) > len(runs) / 10
    await require_all_ended(stage)


async def test_news_of_two_children_in_one_release_count_once(stage: Stage) -> None:
    """Their parent is named twice then: its next child must begin once, and be waited for."""
    items = workflow([a_map("map", node("item", "act"), items=[0, 1, 2, 3], maxConcurrency=2)], [])
    started = await stage.start(Scene(items, {}))
    (parent,) = [one.task for one in started.dispatches if isinstance(one, RunTask)]
    waiting = [job for one in started.dispatches for job in await deliver(stage.engine, one)]
    while waiting:
        waiting = [follows for job in waiting for follows in await deliver(stage.engine, job)]
        if Release((parent,)) in waiting:
            waiting = [one for one in waiting if one != Release((parent,))]
            waiting += await release(stage.engine, [parent, parent])
    assert await status_of(stage.engine, started.run_id) == "succeeded"
    assert stage.act.counted().total() == 4
    await require_all_ended(stage)
