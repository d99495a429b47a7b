"""Pauses, resumes, cancels and retries in place at random moments: each node runs after its parents, every
counter is a count, and in the end each run has come to what its graph says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID

import pytest

from headrace.engine.again import retry_run
from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import wake_due
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.crew import Crew, random_graph, through_waits
from support.drive import deliver, status_of, tasks_of
from support.family import a_loop, a_map, children_of, with_items
from support.histories import require_sound
from support.rows import end_waits, sql
from support.scripted import with_script

pytestmark = pytest.mark.anyio

Act = Callable[[Engine, UUID], Awaitable[list[Dispatch]]]
ENDED = ("succeeded", "failed", "cancelled")
MOST_ACTS = 25
"""So often somebody intervenes in one run."""

TOLERATED = ([10, 20, None], [None, 20, 30], [None, 20, None])


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    db = Database(database_url, pool_size=16)
    yield Engine.over(db, with_script())
    await db.close()


async def started(engine: Engine, document: JsonObject) -> Started:
    return await start_run(engine, StartRequest(await create_workflow(engine, document), {"given": 1}))


async def tried(engine: Engine, act: Act, run_id: UUID) -> list[Dispatch]:
    """Does it, unless it is refused."""
    try:
        return await act(engine, run_id)
    except WrongState:
        return []


async def play(
    engine: Engine, run: Started, document: JsonObject, chance: random.Random, acts: Sequence[Act]
) -> None:
    """Delivers in any order, some of it twice; now and then somebody intervenes, and all is looked at."""
    waiting, left = list(run.dispatches), MOST_ACTS
    while True:
        if left and (not waiting or chance.random() < 0.15):
            left -= 1
            waiting += await tried(engine, chance.choice(acts), run.run_id)
            await require_sound(engine.db, run.run_id, document)
            assert await verify(engine.db) == []
        if waiting:
            place = chance.randrange(len(waiting))
            job = waiting[place] if chance.random() < 0.1 else waiting.pop(place)
            waiting += await deliver(engine, job)
            continue
        await end_waits(engine.db)
        waiting += await wake_due(engine)
        if not waiting and not left and await status_of(engine, run.run_id) == "paused":
            waiting += await resume_run(engine, run.run_id)
            waiting += await wake_due(engine)
        if not waiting and not left:
            break
    await require_sound(engine.db, run.run_id, document)
    assert await status_of(engine, run.run_id) in ENDED
    assert await verify(engine.db) == []


def mendable(chance: random.Random, size: int) -> JsonObject:
    """A graph of joins that wait for all; some nodes fail a few times before they answer."""
    nodes, edges = [], []
    for number in range(size):
        times = chance.choice((0, 0, 0, 0, 1, 2))
        config: JsonObject = {"do": "fail", "times": times, "retryable": False, "output": {f"n{number}": 1}}
        type = chance.choice(("script", "quick_script"))
        nodes.append(node(f"n{number}", type, config=config))
        sources = chance.sample(range(number), min(number, chance.choice((0, 1, 2, 2, 3))))
        edges += [edge(f"n{source}", f"n{number}") for source in sources]
    return workflow(nodes, edges, onFailure=chance.choice(("pause", "pause", "finish_branches")))


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_is_retried_when_each_node_answers_once(engine: Engine, seed: int) -> None:
    """No node begins once more than it failed, and none is left out."""
    chance = random.Random(f"mendable {seed}")
    document = mendable(chance, chance.choice((5, 9, 14)))
    run = await started(engine, document)
    await play(engine, run, document, chance, (pause_run, resume_run, retry_run, retry_run))
    while await status_of(engine, run.run_id) != "succeeded":
        crew = Crew(engine, chance)
        await through_waits(crew, await retry_run(engine, run.run_id))
        await require_sound(engine.db, run.run_id, document)
    tasks = await tasks_of(engine, run.run_id)
    assert {name: task.attempt for name, task in tasks.items()} == {
        str(one["id"]): one["config"]["times"] + 1  # type: ignore[index, call-overload, operator]
        for one in document["nodes"]  # type: ignore[union-attr]
    }
    assert await verify(engine.db) == []


@pytest.mark.parametrize("seed", range(16))
async def test_joins_of_all_kinds_are_decided_right_through_retries(engine: Engine, seed: int) -> None:
    chance = random.Random(f"any {seed}")
    document = random_graph(chance, chance.choice((6, 10, 16)), failing=0.35)
    if chance.random() < 0.5:
        document["onFailure"] = "pause"
    run = await started(engine, document)
    acts: tuple[Act, ...] = (pause_run, resume_run, retry_run, retry_run, retry_run)
    await play(engine, run, document, chance, (*acts, cancel_run) if seed % 2 else acts)


@pytest.mark.parametrize("seed", range(8))
async def test_families_are_retried_at_random_moments(db: Database, seed: int) -> None:
    """Maps and loops whose items fail at first, below and above nodes that fail; also items by themselves."""
    chance, engine = random.Random(f"families {seed}"), Engine.over(db, with_items())
    tolerated = chance.choice((0, 2))
    bad: JsonObject = node("bad", "script", config={"do": "fail", "times": 1, "retryable": False})
    item = node("item", "item", config={"fails": [0, 2], "attempts": 1})
    body: JsonObject = {"nodes": [node("first", "item"), item], "edges": [edge("first", "item")]}
    each = a_map("each", body, items=[1, 2, 3], maxConcurrency=2, tolerate=tolerated)
    loop = a_loop("loop", body, **{"for": 3}, inputs={"item": 7})
    after = a_map("after", body, items="${nodes.each.output}", tolerate=0)
    edges = [edge("bad", "loop", on=chance.choice(("always", "success"))), edge("each", "after")]
    document = workflow(
        [bad, each, loop, after], edges, onFailure=chance.choice(("pause", "finish_branches"))
    )
    run = await started(engine, document)

    async def retry_one(engine: Engine, run_id: UUID) -> list[Dispatch]:
        return await retry_run(engine, chance.choice([run_id, *await children_of(engine, run_id)]))

    acts: tuple[Act, ...] = (pause_run, resume_run, cancel_run, retry_run, retry_run, retry_one, retry_one)
    await play(engine, run, document, chance, acts)
    while await status_of(engine, run.run_id) != "succeeded":
        await through_waits(Crew(engine, chance), await retry_run(engine, run.run_id))
        assert await verify(engine.db) == []
    outputs = {name: task.output for name, task in (await tasks_of(engine, run.run_id)).items()}
    assert outputs["each"] == [10, 20, 30] or (tolerated and outputs["each"] in TOLERATED)
    assert outputs["after"] == [one and 10 * one for one in outputs["each"]]
    assert outputs["loop"] == {"iterations": 3, "last": 70, "results": [70, 70, 70]}


@pytest.mark.parametrize("seed", range(2))
async def test_retries_race_with_many_workers(engine: Engine, seed: int) -> None:
    """Five people intervene in runs that eight workers deliver."""
    chance = random.Random(f"race {seed}")
    documents = [mendable(chance, 12), mendable(chance, 20), random_graph(chance, 15, failing=0.2)]
    documents.append(random_graph(chance, 15, failing=0.2) | {"onFailure": "pause"})
    runs = [(await started(engine, document), document) for document in documents for _ in range(12)]
    crew, acts = Crew(engine, chance), (pause_run, resume_run, resume_run, cancel_run, retry_run, retry_run)
    people = [asyncio.create_task(_intervene(crew, runs, acts)) for _ in range(5)]
    crew.push([one for run, _ in runs for one in run.dispatches])
    while not all(one.done() for one in people):
        await crew.deliver([])
        await asyncio.sleep(0.001)
    for one in people:
        await one
    await _calm(crew)
    for run, document in runs:
        assert await status_of(engine, run.run_id) in ENDED
        await require_sound(engine.db, run.run_id, document)
    assert await verify(engine.db) == []


async def _intervene(crew: Crew, runs: Sequence[tuple[Started, JsonObject]], acts: Sequence[Act]) -> None:
    for _ in range(80):
        run, _ = crew.chance.choice(runs)
        crew.push(await tried(crew.engine, crew.chance.choice(acts), run.run_id))
        if crew.chance.random() < 0.3:
            crew.push(await wake_due(crew.engine))
        await asyncio.sleep(crew.chance.random() * 0.005)


async def _calm(crew: Crew) -> None:
    """All that is left comes to its end; what is paused is resumed."""
    await through_waits(crew, [])
    while rows := await sql(crew.engine.db, "SELECT id FROM workflow_runs WHERE status = 'paused'"):
        for row in rows:
            crew.push(await resume_run(crew.engine, row.id))
        await through_waits(crew, [])
