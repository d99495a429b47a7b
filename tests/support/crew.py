"""Several processes' worth of workers in one: each takes what comes, in batches, in an order of chance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

from headrace.engine.execute import Finished, claim, perform, perform_at_once
from headrace.engine.handover import Taker
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.settle import settle
from headrace.engine.sweep import wake_due
from headrace.graph.dispatch import Dispatch, Release, RunTask
from headrace.graph.json_types import JsonObject
from headrace.store.claims import Delivery
from support.build import edge, node, workflow
from support.drive import NoHttp
from support.rows import end_waits


@dataclass
class Crew:
    """Delivers dispatches until none is left. twice: how likely one is delivered a second time.

    started: how often each task's node was run by a claim, or ran ahead and was recorded; late: how many
    answers came too late; handed_over: how many released their successors as they were settled; ran_ahead:
    how many of those had run before their parents' ends were recorded.
    """

    engine: Engine
    chance: random.Random
    workers: int = 8
    twice: float = 0.1
    waiting: list[Dispatch] = field(default_factory=list)
    started: dict[tuple[UUID, int, int], int] = field(default_factory=dict)
    late: int = 0
    handed_over: int = 0
    ran_ahead: int = 0
    _busy: int = 0

    async def deliver(self, dispatches: Sequence[Dispatch]) -> None:
        """Works until nothing is left to deliver."""
        self.push(dispatches)
        await asyncio.gather(*(self._work(self._taker()) for _ in range(self.workers)))

    def _taker(self) -> Taker:
        slots, perform = self.chance.choice((0, 0, 1, 8)), self.chance.choice((None, _at_once, _at_once))
        return Taker(uuid4(), partial(min, slots), perform)

    def push(self, dispatches: Sequence[Dispatch]) -> None:
        for dispatch in dispatches:
            self.waiting.append(dispatch)
            if self.chance.random() < self.twice:
                self.waiting.append(dispatch)

    async def _work(self, taker: Taker) -> None:
        while self.waiting or self._busy:
            batch = self._batch()
            if not batch:
                await asyncio.sleep(0.001)
                continue
            self._busy += 1
            try:
                await self._run(batch, taker)
            finally:
                self._busy -= 1

    def _batch(self) -> list[Dispatch]:
        self.chance.shuffle(self.waiting)
        count = self.chance.choice((1, 2, 5, 16))
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        return batch

    async def _run(self, batch: Sequence[Dispatch], taker: Taker) -> None:
        ended = [task for one in batch if isinstance(one, Release) for task in one.tasks]
        if ended:
            self.chance.shuffle(ended)
            self.push(await release(self.engine, ended))
        jobs = [Delivery(one.task, one.attempt, one.delivery) for one in batch if isinstance(one, RunTask)]
        executions: Sequence[Execution] = await claim(self.engine, jobs, taker.worker_id)
        while executions:
            self._note(executions)
            finished = [await perform(one, NoHttp()) for one in executions]
            settled = await settle(self.engine, finished, taker)
            self.late += len(settled.late)
            self.handed_over += len(settled.released)
            self.ran_ahead += len(settled.ran)
            self._note([one.execution for one in settled.ran])
            self.push(settled.dispatches)
            executions = settled.taken

    def _note(self, executions: Sequence[Execution]) -> None:
        for one in executions:
            key = (*one.task, one.claim.attempt)
            self.started[key] = self.started.get(key, 0) + 1


def _at_once(execution: Execution) -> Finished:
    return perform_at_once(execution, NoHttp())


async def through_waits(crew: Crew, dispatches: Sequence[Dispatch]) -> None:
    """Delivers, ends the waits that are left, and so on until nothing waits."""
    await crew.deliver(dispatches)
    while True:
        await end_waits(crew.engine.db)
        woken = await wake_due(crew.engine)
        if not woken:
            return
        await crew.deliver(woken)


def random_graph(
    chance: random.Random, size: int, failing: float = 0.1, is_timed: bool = True, quick: float = 0.5
) -> JsonObject:
    """A graph of `script` nodes with joins of all kinds, failures, waits and sometimes `finally` nodes.

    quick: the share of nodes that take no time.

    is_timed False: without what makes its end depend on who is first, and without `finally` nodes.
    """
    nodes = [_random_node(chance, number, failing, quick) for number in range(size)]
    edges = []
    for target in range(1, size):
        parents = chance.sample(range(target), min(target, chance.choice((0, 1, 1, 2, 3, 5))))
        for source in parents:
            options = {"on": chance.choice(("success",) * 8 + ("failure", "always"))} if failing else {}
            edges.append(edge(f"n{source}", f"n{target}", **options))
        nodes[target] |= _random_join(chance, len(parents), is_timed) if failing and parents else {}
    if is_timed and chance.random() < 0.3:
        nodes.append(node("tidy") | {"finally": True})
    fast = {"onFailure": "fail_fast"} if is_timed and chance.random() < 0.2 else {}
    return workflow(nodes, edges, **fast)


def _random_node(chance: random.Random, number: int, failing: float, quick: float) -> JsonObject:
    does = "answer"
    if chance.random() < failing:
        does = chance.choice(("fail", "fail", "wait", "unstorable"))
    config: JsonObject = {"do": does, "times": chance.choice((1, 9)), "output": {f"n{number}": number}}
    made = node(f"n{number}", "quick_script" if chance.random() < quick else "script", config=config)
    made["retry"] = {"maxAttempts": chance.choice((1, 2)), "jitter": False}
    if chance.random() < 0.1:
        made["allowFailure"] = True
    return made


def _random_join(chance: random.Random, degree: int, is_timed: bool) -> JsonObject:
    rules = ["all"] * 6 + ["all_done", "none_failed", "all_success", "all_failed"]
    early = ["any_success", "any_success", "any_failed", f"quorum:{max(1, degree - 1)}"]
    rule = chance.choice([*rules, *early] if is_timed else rules)
    is_early = rule in early
    if is_early and chance.random() < 0.5:
        return {"join": {"rule": rule, "onLosers": "cancel"}}
    return {"join": rule}
