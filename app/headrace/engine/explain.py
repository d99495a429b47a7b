"""Why a run, and each of its tasks that does not run, stands where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from headrace.engine.program import Engine
from headrace.engine.sweep import SweepSettings
from headrace.errors import NotFound
from headrace.graph.explain import Explanation, explain_node, explain_run
from headrace.graph.explain_facts import Facts, Holder, QueueLook, RunFacts
from headrace.graph.ids import TaskId
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import activities_seen, standing
from headrace.store.db import Tx
from headrace.store.recovery import CHILDREN
from headrace.store.standing import RunRecord
from headrace.store.workers import UNHEALTHY_SECONDS

MOST_RUNS = 50
"""Runs below those that were asked for whose causes are told, too."""

Looks: TypeAlias = Mapping[str, QueueLook]
"""What somebody saw of the queues of tasks, by their names."""

_NOT_LOOKED: Looks = {}


async def explain(
    engine: Engine, run_id: UUID, looks: Looks = _NOT_LOOKED, node_id: str | None = None
) -> Explanation:
    """Explains a run, with one of its nodes or with all that do not run.

    Raises NotFound, also when the run's workflow has no such node.
    """
    async with engine.db.transaction() as tx:
        facts = await _facts(engine, tx, [run_id], looks)
    if run_id not in facts.runs:
        raise NotFound("Workflow run not found")
    if node_id is None:
        return explain_run(facts, run_id)
    if node_id not in facts.runs[run_id].plan.by_id:
        raise NotFound(f"The run has no node '{node_id}'{_INSIDE if '/' in node_id else ''}")
    return explain_node(facts, run_id, node_id)


_INSIDE = ": ask the child run, which is among its children, about a node in a map or loop"


async def explain_in(engine: Engine, tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, Explanation]:
    """Explains those of the runs that are there, from what PostgreSQL knows."""
    facts = await _facts(engine, tx, run_ids, _NOT_LOOKED)
    return {run_id: explain_run(facts, run_id) for run_id in run_ids if run_id in facts.runs}


async def _facts(engine: Engine, tx: Tx, run_ids: Sequence[UUID], looks: Looks) -> Facts:
    """Reads the tasks of these runs and of some of the runs below them, and a few rows beside."""
    loading = _Loading(engine, tx)
    await loading.load(run_ids)
    while wanted := loading.next_level():
        await loading.load(wanted)
    pulse = await standing.pulse(tx, UNHEALTHY_SECONDS)
    return Facts(
        now=pulse.now,
        runs=loading.runs,
        workers=pulse.workers,
        listeners=pulse.listeners,
        looks=looks,
        key_holders=await standing.holders(tx, loading.held_for()),
        offers=await activities_seen.offers(tx, loading.held_for()),
        children=loading.children,
        sweep_seconds=SweepSettings().lost_delivery,
    )


@dataclass(slots=True)
class _Loading:
    """The runs that an explanation tells of, level by level."""

    engine: Engine
    tx: Tx
    runs: dict[UUID, RunFacts] = field(default_factory=dict)
    children: dict[TaskId, list[UUID]] = field(default_factory=dict)
    _below: list[UUID] = field(default_factory=list)
    _left: int = MOST_RUNS

    async def load(self, run_ids: Sequence[UUID]) -> None:
        """Loads runs, and which runs are below them."""
        records = await standing.runs(self.tx, run_ids)
        tasks = await standing.tasks(self.tx, run_ids)
        programs = await self.engine.programs.load(self.tx, {one.program for one in records})
        for one in records:
            holders, ahead = await self._turn(one)
            self.runs[one.id] = RunFacts(
                id=one.id,
                plan=programs[one.program].plan,
                status=one.status,
                tasks=tasks.get(one.id, {}),
                verdict=one.verdict,
                reason=one.reason,
                paused_at=one.paused_at,
                key=one.key,
                ahead=ahead,
                holders=holders,
                is_child=one.is_child,
                child_index=one.child_index,
                is_body=bool(one.program.body),
            )
        await self._find_children(run_ids)

    def next_level(self) -> list[UUID]:
        """The runs to load next, as many as there may be."""
        wanted = [run_id for run_id in self._below if run_id not in self.runs][: self._left]
        self._left -= len(wanted)
        return wanted

    def held_for(self) -> list[str]:
        """What holds tasks of the runs."""
        return [task.held_for for run in self.runs.values() for task in run.tasks.values() if task.held_for]

    async def _turn(self, run: RunRecord) -> tuple[list[Holder], int]:
        if run.status is not RunStatus.QUEUED or run.key is None:
            return [], 0
        return await standing.turn(self.tx, run.id, run.key)

    async def _find_children(self, run_ids: Sequence[UUID]) -> None:
        parents = [
            TaskId(run_id, task.position)
            for run_id in run_ids
            if run_id in self.runs
            for task in self.runs[run_id].tasks.values()
            if task.status is TaskStatus.WAITING and task.waits_for == CHILDREN
        ]
        found = await standing.children(self.tx, parents) if parents else {}
        found |= {
            TaskId(run_id, task.position): list(task.failed_children)
            for run_id in run_ids
            if run_id in self.runs
            for task in self.runs[run_id].tasks.values()
            if task.failed_children
        }
        self.children |= found
        self._below = [run_id for ids in found.values() for run_id in ids]
