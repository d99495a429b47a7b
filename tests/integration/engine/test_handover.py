"""Which successors a process takes with it when it settles, and which go to the queue for others."""

from __future__ import annotations

import pytest

from headrace.engine.execute import claim, perform
from headrace.engine.handover import Taker
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.settle import Settled, settle
from headrace.engine.start import StartRequest, start_run
from headrace.graph.dispatch import RunTask
from headrace.graph.json_types import JsonObject
from headrace.store.claims import Delivery
from support.build import edge, node, workflow
from support.drive import WORKER, NoHttp

pytestmark = pytest.mark.anyio

WAIT: JsonObject = {"delayMs": 60_000}


def layers(roots: int, width: int, type: str = "noop", config: JsonObject | None = None) -> JsonObject:
    """Roots that all lead to each node of the second layer."""
    first = [node(f"r{number}", "noop") for number in range(roots)]
    second = [node(f"s{number}", type, config=config or {}) for number in range(width)]
    edges = [edge(str(one["id"]), str(other["id"])) for one in first for other in second]
    return workflow([*first, *second], edges)


async def settled_roots(engine: Engine, document: JsonObject, slots: int) -> tuple[Settled, int]:
    """What settling all roots at once came to, and how many slots were asked for."""
    asked: list[int] = []

    def keep(most: int) -> int:
        asked.append(most)
        return min(most, slots)

    run = await start_run(engine, StartRequest(await create_workflow(engine, document), {}))
    jobs = [one for one in run.dispatches if isinstance(one, RunTask)]
    roots = await claim(engine, [Delivery(job.task, job.attempt, job.delivery) for job in jobs], WORKER)
    finished = [await perform(root, NoHttp()) for root in roots]
    settled = await settle(engine, finished, Taker(WORKER, keep))
    return settled, sum(asked)


def queued(settled: Settled) -> list[str]:
    return sorted(one.node_id for one in settled.dispatches if isinstance(one, RunTask))


def taken(settled: Settled) -> list[str]:
    return sorted(one.node.id for one in settled.taken)


async def test_nodes_that_take_no_time_are_taken_as_far_as_there_are_slots(engine: Engine) -> None:
    settled, asked = await settled_roots(engine, layers(1, 5), slots=3)
    assert (taken(settled), queued(settled), asked) == (["s0", "s1", "s2"], ["s3", "s4"], 5)


async def test_of_nodes_that_take_time_one_is_taken_and_others_get_the_rest(engine: Engine) -> None:
    settled, _ = await settled_roots(engine, layers(1, 3, "delay", config=WAIT), slots=8)
    assert (taken(settled), queued(settled)) == (["s0"], ["s1", "s2"])


async def test_successors_of_several_are_taken_once(engine: Engine) -> None:
    settled, asked = await settled_roots(engine, layers(3, 4), slots=4)
    assert (taken(settled), queued(settled), asked) == (["s0", "s1", "s2", "s3"], [], 4)


async def test_without_slots_all_are_queued(engine: Engine) -> None:
    settled, _ = await settled_roots(engine, layers(2, 2), slots=0)
    assert (taken(settled), queued(settled)) == ([], ["s0", "s1"])
