"""Many workers at once, deliveries twice and in any order: each join is released once and each run ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from headrace.engine.control import cancel_run
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.json_types import JsonObject
from headrace.store.db import Database
from support.build import edge, node, workflow
from support.crew import Crew, random_graph, through_waits
from support.rows import sql
from support.scripted import with_script

pytestmark = pytest.mark.anyio

ENDED = {"completed", "failed", "skipped", "upstream_failed", "cancelled"}


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """With a connection for each of many workers."""
    db = Database(database_url, pool_size=20)
    yield Engine.over(db, with_script())
    await db.close()


async def started(engine: Engine, document: JsonObject, count: int = 1) -> list[Started]:
    workflow_id = await create_workflow(engine, document)
    return [await start_run(engine, StartRequest(workflow_id)) for _ in range(count)]


async def assert_all_is_well(engine: Engine) -> None:
    assert await verify(engine.db) == []
    rows = await sql(engine.db, "SELECT status, count(*) AS n FROM workflow_runs GROUP BY status")
    assert {row.status for row in rows} <= {"succeeded", "failed", "cancelled"}
    rows = await sql(engine.db, "SELECT DISTINCT status FROM workflow_tasks")
    assert {row.status for row in rows} <= ENDED


async def assert_queued_once(engine: Engine) -> None:
    """No task became ready twice: one first delivery each, in its row and in the history."""
    rows = await sql(
        engine.db,
        "SELECT run_id, position, count(*) AS n FROM workflow_events"
        " WHERE type IN ('task.queued', 'task.running') AND (data->>'delivery' IS NULL"
        "   OR data->>'delivery' = '1') GROUP BY run_id, position, type HAVING count(*) > 1",
    )
    assert rows == []


def fan(width: int) -> JsonObject:
    names = [f"w{number}" for number in range(width)]
    return workflow(
        [node("first"), *map(node, names), node("join"), node("last")],
        [
            *(edge("first", name) for name in names),
            *(edge(name, "join") for name in names),
            edge("join", "last"),
        ],
    )


def with_final(document: JsonObject) -> JsonObject:
    """The same without the hand-over: it leaves runs with `finally` nodes alone."""
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    return document | {"nodes": [*nodes, node("tidy") | {"finally": True}]}


@pytest.mark.parametrize("is_quick", [True, False], ids=["handed over", "by dependency jobs"])
async def test_b9_forty_runs_that_fan_out_and_in_run_every_node_once(engine: Engine, is_quick: bool) -> None:
    document = fan(8) if is_quick else with_final(fan(8))
    runs = await started(engine, document, 40)
    crew = Crew(engine, random.Random(9))
    await crew.deliver([one for run in runs for one in run.dispatches])
    assert set(crew.started.values()) == {1}
    assert len(crew.started) == 40 * (11 if is_quick else 12)
    rows = await sql(engine.db, "SELECT status, count(*) AS n FROM workflow_runs GROUP BY status")
    assert [(row.status, row.n) for row in rows] == [("succeeded", 40)]
    await assert_queued_once(engine)
    await assert_all_is_well(engine)


async def test_hand_overs_and_dependency_jobs_count_down_the_same_joins(engine: Engine) -> None:
    """Half of the parents have an edge that is not taken, so they take the ordinary way to the same join."""
    names = [f"w{number}" for number in range(16)]
    document = workflow(
        [*map(node, names), node("never"), node("join"), node("last")],
        [
            *(edge(name, "join") for name in names),
            *(edge(name, "never", when={"==": [1, 2]}) for name in names[::2]),
            edge("join", "last"),
        ],
    )
    runs = await started(engine, document, 30)
    crew = Crew(engine, random.Random(16), workers=16)
    await crew.deliver([one for run in runs for one in run.dispatches])
    assert set(crew.started.values()) == {1}
    assert crew.handed_over >= 30 * 8
    rows = await sql(engine.db, "SELECT status, count(*) AS n FROM workflow_runs GROUP BY status")
    assert [(row.status, row.n) for row in rows] == [("succeeded", 30)]
    await assert_queued_once(engine)
    await assert_all_is_well(engine)


@pytest.mark.parametrize("seed", range(4))
async def test_random_graphs_end_whatever_happens_in_them(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    runs = [
        run
        for _ in range(10)
        for run in await started(engine, random_graph(chance, chance.choice((5, 15, 40))), count=2)
    ]
    crew = Crew(engine, chance)
    await through_waits(crew, [one for run in runs for one in run.dispatches])
    assert set(crew.started.values()) <= {1, 2}  # a wait runs its node twice in one attempt
    await assert_queued_once(engine)
    await assert_all_is_well(engine)


async def test_big_graphs_without_failures_complete_every_node_once(engine: Engine) -> None:
    chance = random.Random(30)
    runs = [run for _ in range(6) for run in await started(engine, random_graph(chance, 120, failing=0.0), 5)]
    crew = Crew(engine, chance)
    await crew.deliver([one for run in runs for one in run.dispatches])
    assert set(crew.started.values()) == {1}
    rows = await sql(engine.db, "SELECT status, count(*) AS n FROM workflow_runs GROUP BY status")
    assert [(row.status, row.n) for row in rows] == [("succeeded", 30)]
    rows = await sql(engine.db, "SELECT DISTINCT status FROM workflow_tasks")
    assert [row.status for row in rows] == ["completed"]
    await assert_all_is_well(engine)


@pytest.mark.parametrize("seed", range(3))
async def test_a_hand_over_comes_to_the_same_as_dependency_jobs(engine: Engine, seed: int) -> None:
    """The same graphs with and without the shortcut: the same ends, outputs, errors and counts."""
    chance = random.Random(seed)
    graphs = [
        random_graph(chance, chance.choice((3, 12, 30)), failing, is_timed=False, quick=0.9)
        for failing in (0.0, 0.0, 0.03, 0.1)
        for _ in range(5)
    ]
    quick = [run for graph in graphs for run in await started(engine, graph)]
    slow = [run for graph in graphs for run in await started(engine, with_final(graph))]
    crew = Crew(engine, chance)
    await through_waits(crew, [one for run in quick + slow for one in run.dispatches])
    for one, other in zip(quick, slow, strict=True):
        assert await _came_to(engine, one.run_id) == await _came_to(engine, other.run_id)
    assert crew.handed_over > 50
    assert crew.ran_ahead > 10
    await assert_all_is_well(engine)


async def _came_to(engine: Engine, run_id: UUID) -> list[list[object]]:
    tasks = await sql(
        engine.db,
        "SELECT node_id, status, attempt, outcomes, output, error, edges_unresolved, edges_taken,"
        " edges_failed, edges_cancelled, (SELECT array_agg(e.type || coalesce(e.message, '') ORDER BY e.id)"
        "   FROM workflow_events e WHERE e.run_id = t.run_id AND e.position = t.position"
        "   AND e.type <> 'task.queued') AS history"
        " FROM workflow_tasks t WHERE run_id = $1 AND node_id <> 'tidy' ORDER BY node_id",
        run_id,
    )
    (run,) = await sql(engine.db, "SELECT status, failed, skipped FROM workflow_runs WHERE id = $1", run_id)
    return [list(row) for row in [run, *tasks]]


async def _cancel(engine: Engine, run_id: UUID, crew: Crew, pause: float) -> bool:
    await asyncio.sleep(pause)
    try:
        crew.push(await cancel_run(engine, run_id))
    except WrongState:
        return False
    return True


async def test_cancels_race_with_everything_and_each_run_ends_as_it_should(engine: Engine) -> None:
    chance = random.Random(200)
    documents = [fan(4), with_final(fan(4)), random_graph(chance, 12), random_graph(chance, 12, failing=0.0)]
    runs = [run for document in documents for run in await started(engine, document, 50)]
    crew = Crew(engine, chance)
    order = [one for run in runs for one in run.dispatches]
    cancels = [_cancel(engine, run.run_id, crew, chance.random() * 1.5) for run in runs for _ in range(2)]
    _, results = await asyncio.gather(through_waits(crew, order), asyncio.gather(*cancels))
    await through_waits(crew, [])
    won = {run.run_id: results[2 * place] + results[2 * place + 1] for place, run in enumerate(runs)}
    assert set(won.values()) <= {0, 1}
    rows = await sql(engine.db, "SELECT id, status, verdict FROM workflow_runs")
    assert {row.id for row in rows if row.verdict == "cancelled"} == {one for one, was in won.items() if was}
    assert {row.status for row in rows if row.verdict == "cancelled"} <= {"cancelled", "failed"}
    assert sum(won.values()) > 20
    await assert_all_is_well(engine)
