"""Runs a shape on a fleet and measures it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from rq.suspension import resume, suspend

from benchmarks.graphs import NOTHING, Graph
from benchmarks.ours import check, through_rq
from benchmarks.ours.fleet import Fleet
from benchmarks.ours.through_rq import FinishedJobs, watched
from benchmarks.processes import TooSlow
from benchmarks.sample import OUR_FUNCTIONS, OURS, Sample
from benchmarks.shapes import Shape
from headrace.graph.json_types import JsonObject

NODES: dict[str, JsonObject] = {
    OURS: NOTHING,
    OUR_FUNCTIONS: {"type": "activity", "config": {"activity": "passOn"}},
}
"""What the nodes are of those who run our shapes."""

_SECONDS = 180.0
_SUSPENDED_SECONDS = 15.0
_LOOK_SECONDS = 0.01


@dataclass
class Course:
    """How some runs of a graph went. seconds: by our clock, to the end of the last run.

    start_seconds: what starting them took. busy_seconds: from the first node's start to the last run's end,
    on the database's clock. runs: their ids. wrong: '' or why they do not count.
    """

    seconds: float
    start_seconds: float
    runs: list[UUID] = field(default_factory=list)
    busy_seconds: float = 0
    wrong: str = ""


async def measure(fleet: Fleet, shape: Shape, who: str = OURS) -> tuple[Sample, Course]:
    """Runs a shape, after its warm-ups, and checks all of it."""
    workflow = await fleet.client.save(shape.graph.document(shape.name, NODES[who]))
    course = Course(0, 0)
    for _ in range(shape.warm_ups + 1):
        course = await (_drain if shape.drained else _at_once)(fleet, shape, workflow)
        if course.wrong:
            break
    hops: list[float] = []
    if shape.is_chain and not course.wrong:
        starts = await fleet.client.starts_of(course.runs[0])
        hops = [(after - before) * 1_000 for before, after in pairwise(starts)]
    return Sample(who, shape.name, shape.nodes, course.seconds, tuple(hops), course.wrong), course


async def _at_once(fleet: Fleet, shape: Shape, workflow: UUID) -> Course:
    return await run_graph(fleet, shape.graph, workflow, shape.runs)


async def run_graph(fleet: Fleet, graph: Graph, workflow: UUID, count: int = 1) -> Course:
    """Starts runs and waits for them; the clock runs from the first start."""
    client = fleet.client
    async with watched(client.redis) as jobs:
        began = time.monotonic()
        runs = await client.start(workflow, count)
        course = Course(0, time.monotonic() - began, runs)
        await _finish(fleet, workflow, course, began)
        course.wrong = course.wrong or await _wrongs(fleet, graph, runs, jobs)
    return course


async def _drain(fleet: Fleet, shape: Shape, workflow: UUID) -> Course:
    """Starts all runs while the workers are suspended; the clock runs from their release."""
    client = fleet.client
    suspend(client.redis)
    await _until_suspended(fleet)
    async with watched(client.redis) as jobs:
        began = time.monotonic()
        runs = await client.start(workflow, shape.runs)
        course = Course(0, time.monotonic() - began, runs)
        released = time.monotonic()
        resume(client.redis)
        await _finish(fleet, workflow, course, released)
        course.wrong = course.wrong or await _wrongs(fleet, shape.graph, runs, jobs)
    return course


async def _finish(fleet: Fleet, workflow: UUID, course: Course, since: float) -> None:
    try:
        course.seconds = await fleet.client.until_ended(workflow, _SECONDS) - since
    except TooSlow as error:
        course.wrong = str(error)
    else:
        course.busy_seconds = await fleet.client.busy_seconds(course.runs)


async def _wrongs(fleet: Fleet, graph: Graph, runs: list[UUID], jobs: FinishedJobs) -> str:
    in_rq = await through_rq.wrongs(jobs, graph.size, runs)
    return in_rq or await check.wrongs(fleet.client.look, graph, runs)


async def _until_suspended(fleet: Fleet) -> None:
    """Waits until every RQ worker has noticed; raises TooSlow."""
    redis = fleet.client.redis
    deadline = time.monotonic() + _SUSPENDED_SECONDS
    while True:
        states = [redis.hget(key, "state") for key in redis.smembers("rq:workers")]
        if all(state == b"suspended" for state in states):
            return
        if time.monotonic() > deadline:
            raise TooSlow(f"the workers are not suspended: {states}")
        await asyncio.sleep(_LOOK_SECONDS)
