"""Who stands in line behind a full key or a rate, who goes next, and how often anybody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from headrace.engine.control import cancel_run, pause_run, resume_run
from headrace.engine.execute import Finished, claim, perform
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import settle
from headrace.engine.start import Started, StartRequest, start_run
from headrace.engine.sweep import SweepSettings, sweep, wake_due
from headrace.engine.verify import verify
from headrace.errors import StoreUnavailable
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import limits, time_travel
from headrace.store.claims import Delivery
from headrace.store.db import Tx
from headrace.store.limits import Called, Line
from support.build import node, workflow
from support.drive import NoHttp, drain, status_of, statuses_of, tasks_of
from support.rows import expire_leases, sql
from support.scripted import with_script

pytestmark = pytest.mark.anyio


def behind(key: str, limit: int = 1) -> JsonObject:
    return {"concurrency": {"limit": limit, "key": key}}


def scripts(names: Sequence[str], **options: JsonValue) -> JsonObject:
    return workflow([node(name, "script", **options) for name in names], [])


async def started(engine: Engine, document: JsonObject, priority: str = "NORMAL") -> Started:
    workflow_id = await create_workflow(engine, document | {"priority": priority})
    return await start_run(engine, StartRequest(workflow_id, None))


async def begun(engine: Engine, dispatches: Sequence[Dispatch]) -> list[Finished]:
    """What a worker does up to the end of its nodes: nothing of it is recorded yet."""
    jobs = [one for one in dispatches if isinstance(one, RunTask)]
    wanted = [Delivery(one.task, one.attempt, one.delivery) for one in jobs]
    return [await perform(execution, NoHttp()) for execution in await claim(engine, wanted, uuid4())]


async def swept(engine: Engine) -> list[Dispatch]:
    """A sweep that is due, and the first after a minute without a gap."""
    await sql(
        engine.db,
        "INSERT INTO sweeps (name, last_at, since)"
        " VALUES ('sweep', now() - interval '6 s', now() - interval '40 s')"
        " ON CONFLICT (name) DO UPDATE SET last_at = EXCLUDED.last_at, since = EXCLUDED.since",
    )
    found = await sweep(engine, SweepSettings(lost_delivery=1e6, forgotten_release=1e6))
    assert found is not None
    return list(found.dispatches)


def nodes_of(dispatches: Sequence[Dispatch]) -> list[str]:
    return sorted(one.node_id for one in dispatches if isinstance(one, RunTask))


async def claims_of(engine: Engine) -> Counter[str]:
    """How often each node was claimed, over all runs."""
    rows = await sql(engine.db, "SELECT node_id FROM workflow_events WHERE type = 'task.running'")
    return Counter(row.node_id for row in rows)


NAMES = ["a", "b", "c", "d", "e", "f"]


async def test_a_sweep_wakes_nobody_while_a_key_is_full(engine: Engine) -> None:
    run = await started(engine, scripts(NAMES, **behind("k", 2)))
    await begun(engine, run.dispatches[:2])
    await drain(engine, run.dispatches[2:])
    assert nodes_of(await swept(engine)) == []
    assert set((await claims_of(engine)).values()) == {1}


async def test_a_sweep_fills_every_free_place_by_priority_then_age(engine: Engine) -> None:
    run = await started(engine, scripts(NAMES, **behind("k", 3)))
    holders = await begun(engine, run.dispatches[:3])
    await drain(engine, run.dispatches[3:])
    urgent = await started(engine, scripts(["urgent"], **behind("k", 3)), "HIGH")
    await drain(engine, urgent.dispatches)
    assert len(holders) == 3
    await sql(engine.db, "UPDATE workflow_tasks SET lost = max_lost WHERE node_id IN ('b', 'c')")
    await sql(
        engine.db,
        "UPDATE workflow_tasks SET status = 'cancelled', finished_at = now(), outcomes = '', token = NULL,"
        " lease_until = NULL, worker_id = NULL WHERE node_id IN ('b', 'c')",
    )
    assert nodes_of(await swept(engine)) == ["d", "urgent"]


async def test_each_key_gets_as_many_as_it_gave_back(engine: Engine) -> None:
    first = await started(engine, scripts(NAMES, **behind("k", 2)))
    second = await started(engine, scripts(["x", "y", "z"], **behind("other")))
    holders = await begun(engine, [*first.dispatches[:2], *second.dispatches[:1]])
    await drain(engine, [*first.dispatches[2:], *second.dispatches[1:]])
    settled = await settle(engine, holders)
    assert nodes_of(settled.dispatches) == ["c", "d", "y"]


async def test_a_place_that_came_free_while_a_task_was_parked_is_taken_at_once(engine: Engine) -> None:
    run = await started(engine, scripts(["a", "b"], **behind("k")))
    (holder,) = await begun(engine, run.dispatches[:1])
    (refused,) = await begun(engine, run.dispatches[1:])
    ended = (await settle(engine, [holder])).dispatches
    assert nodes_of(ended) == []
    again = (await settle(engine, [refused])).dispatches
    assert nodes_of(again) == ["b"]
    await drain(engine, [*ended, *again])
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_place_is_not_wasted_on_a_run_that_was_paused_while_its_task_was_parked(
    engine: Engine,
) -> None:
    first = await started(engine, scripts(["a", "b"], **behind("k", 2)))
    holders = await begun(engine, first.dispatches)
    paused = await started(engine, scripts(["p", "q"], **behind("k", 2)))
    refused = await begun(engine, paused.dispatches)
    await pause_run(engine, paused.run_id)
    await drain(engine, (await settle(engine, refused)).dispatches)
    last = await started(engine, scripts(["x", "y", "z"], **behind("k", 2)))
    await drain(engine, last.dispatches)

    ended = (await settle(engine, holders)).dispatches
    assert nodes_of(ended) == ["x", "y"]
    await drain(engine, ended)
    assert await status_of(engine, last.run_id) == "succeeded"

    await drain(engine, await resume_run(engine, paused.run_id))
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, paused.run_id) == "succeeded"
    assert await verify(engine.db) == []


async def test_ends_are_followed_up_although_nobody_can_give_a_place_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> list[Called]:
        raise StoreUnavailable("PostgreSQL went away right after the commit")

    run = await started(engine, scripts(["a"], **behind("k")))
    holders = await begun(engine, run.dispatches)
    monkeypatch.setattr(limits, "let_next", away)
    await drain(engine, (await settle(engine, holders)).dispatches)
    assert await status_of(engine, run.run_id) == "succeeded"


async def test_a_workflow_that_this_process_cannot_read_stops_no_other_line(engine: Engine) -> None:
    strange = await started(engine, scripts(["a", "b"], **behind("first")))
    run = await started(engine, scripts(["c", "d"], **behind("second")))
    for one in (strange, run):
        await begun(engine, one.dispatches[:1])
        await drain(engine, one.dispatches[1:])
    await sql(engine.db, "DELETE FROM concurrency_slots")
    await sql(
        engine.db,
        """UPDATE workflow_versions SET definition = '{"nodes": "in a form to come"}'"""
        " WHERE workflow_id = (SELECT workflow_id FROM workflow_runs WHERE id = $1)",
        strange.run_id,
    )
    newcomer = Engine.over(engine.db, with_script())
    assert nodes_of(await swept(newcomer)) == ["d"]


async def test_what_is_free_for_long_is_forgotten(engine: Engine) -> None:
    run = await started(engine, scripts(["a", "b", "c"], **RATE))
    await drain(engine, run.dispatches)
    await swept(engine)
    assert len(await sql(engine.db, "SELECT 1 FROM rate_limits")) == 2
    await pass_time(engine, 3 * 86_400)
    await drain(engine, await swept(engine))
    assert await sql(engine.db, "SELECT 1 FROM rate_limits") == []


async def test_two_who_give_a_place_back_at_once_let_two_go(engine: Engine) -> None:
    run = await started(engine, scripts(NAMES, **behind("k", 2)))
    await begun(engine, run.dispatches[:2])
    await drain(engine, run.dispatches[2:])
    await sql(engine.db, "DELETE FROM concurrency_slots")
    line = [Line("k", 2, most=1)]

    async def outer(tx: Tx) -> tuple[list[str], list[str]]:
        mine = [one.queued.node_id for one in await limits.let_next(tx, line)]
        async with engine.db.transaction() as other:
            return mine, [one.queued.node_id for one in await limits.let_next(other, line)]

    assert await engine.db.transact(outer) == (["c"], ["d"])


async def test_a_key_whose_worker_died_is_free_when_its_lease_has_run_out(engine: Engine) -> None:
    run = await started(engine, scripts(["a", "b"], **behind("k")))
    await begun(engine, run.dispatches[:1])
    await drain(engine, run.dispatches[1:])
    assert nodes_of(await swept(engine)) == []
    await expire_leases(engine.db)
    again = await swept(engine)
    assert nodes_of(again) == ["a", "b"]
    await drain(engine, again)
    await drain(engine, await swept(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert await sql(engine.db, "SELECT 1 FROM concurrency_slots") == []
    assert await verify(engine.db) == []


async def test_verify_finds_a_task_that_waits_for_a_key_that_nobody_holds(engine: Engine) -> None:
    run = await started(engine, scripts(["a", "b"], **behind("k")))
    await begun(engine, run.dispatches[:1])
    await drain(engine, run.dispatches[1:])
    await sql(engine.db, "UPDATE workflow_tasks SET started_at = now() - interval '5 min'")
    assert await verify(engine.db) == []
    await sql(engine.db, "DELETE FROM concurrency_slots")
    (finding,) = await verify(engine.db)
    assert (finding.name, finding.count, finding.example) == ("keys_are_held", 1, f"{run.run_id}-1")


CROWD = 1_000


async def test_a_thousand_tasks_behind_a_full_key_delay_nobody_else(engine: Engine) -> None:
    crowd = await started(engine, scripts([f"n{n}" for n in range(CROWD)], **behind("full")))
    (holder,) = await begun(engine, crowd.dispatches[:1])
    others = await started(engine, scripts([f"o{n}" for n in range(10)], **behind("{{run.id}}", 10)))
    parked = await begun(engine, crowd.dispatches[1:])
    queued = [*(await settle(engine, parked)).dispatches]
    for _ in range(3):
        queued += await swept(engine)
    assert nodes_of(queued) == []  # they ask once, and then nobody but their holder wakes them

    await drain(engine, others.dispatches)

    assert await status_of(engine, others.run_id) == "succeeded"
    assert set((await claims_of(engine)).values()) == {1}
    assert nodes_of((await settle(engine, [holder])).dispatches) == ["n1"]


RATE: JsonObject = {"rate": {"count": 2, "per": "1h", "key": "api"}}
INTERVAL = timedelta(minutes=30)


async def pass_time(engine: Engine, seconds: float) -> None:
    async with engine.db.transaction() as tx:
        await time_travel.skip(tx, seconds)


async def wakes(engine: Engine, run_id: UUID) -> list[timedelta]:
    """The pauses between the wakes of what waits."""
    at = sorted(task.wake_at for task in (await tasks_of(engine, run_id)).values() if task.wake_at)
    return [later - earlier for earlier, later in pairwise(at)]


async def test_who_waits_for_a_rate_has_a_time_of_its_own(engine: Engine) -> None:
    run = await started(engine, scripts([f"n{n}" for n in range(12)], **RATE))
    await settle(engine, await begun(engine, run.dispatches))  # all ask before anybody is parked
    pauses = await wakes(engine, run.run_id)
    assert len(pauses) == 9
    assert all(abs(one - INTERVAL) < timedelta(seconds=2) for one in pauses)


async def test_who_waits_for_a_rate_is_claimed_twice_however_many_wait(engine: Engine) -> None:
    run = await started(engine, scripts([f"n{n}" for n in range(20)], **RATE))
    await drain(engine, run.dispatches)
    for _ in range(18):
        await pass_time(engine, INTERVAL.total_seconds() + 1)
        await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert sum((await claims_of(engine)).values()) == 2 + 18 * 2


async def test_a_newcomer_stands_behind_those_who_wait_for_a_rate(engine: Engine) -> None:
    run = await started(engine, scripts(["a", "b", "c"], **RATE))
    await drain(engine, run.dispatches)
    await pass_time(engine, INTERVAL.total_seconds() + 1)
    late = await started(engine, scripts(["late"], **RATE))
    await drain(engine, late.dispatches)
    assert await statuses_of(engine, late.run_id) == {"late": "waiting"}
    await drain(engine, await wake_due(engine))
    assert await status_of(engine, run.run_id) == "succeeded"
    assert (await claims_of(engine))["c"] == 2


async def test_a_newcomer_does_not_wait_for_those_who_gave_up(engine: Engine) -> None:
    run = await started(engine, scripts([f"n{n}" for n in range(8)], **RATE))
    await drain(engine, run.dispatches)
    await cancel_run(engine, run.run_id)
    await pass_time(engine, INTERVAL.total_seconds() + 1)
    late = await started(engine, scripts(["late"], **RATE))
    await drain(engine, late.dispatches)
    assert await status_of(engine, late.run_id) == "succeeded"


async def test_the_line_moves_up_when_those_in_front_give_up(engine: Engine) -> None:
    front = await started(engine, scripts([f"n{n}" for n in range(8)], **RATE))
    await drain(engine, front.dispatches)
    back = await started(engine, scripts(["x", "y"], **RATE))
    await drain(engine, back.dispatches)
    await cancel_run(engine, front.run_id)
    await swept(engine)
    waiting = await tasks_of(engine, back.run_id)
    (row,) = await sql(engine.db, "SELECT now() AS now")
    assert waiting["x"].wake_at is not None
    assert waiting["x"].wake_at - row.now <= INTERVAL
    assert await wakes(engine, back.run_id) == [pytest.approx(INTERVAL, abs=timedelta(seconds=2))]
    late = await started(engine, scripts(["late"], **RATE))
    await drain(engine, late.dispatches)
    third = (await tasks_of(engine, late.run_id))["late"].wake_at
    assert third is not None
    assert third - row.now <= 3 * INTERVAL + timedelta(seconds=2)
