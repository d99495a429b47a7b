"""Why a run, and each of its tasks that does not run, stands where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from headrace.engine.program import Engine
from headrace.engine.sweep import UNHEALTHY_SECONDS, SweepSettings
from headrace.errors import NotFound
from headrace.graph.explain import Explanation, explain_run
from headrace.graph.explain_facts import TASK_QUEUE, Facts, Holder, QueueLook, RunFacts
from headrace.graph.ids import TaskId
from headrace.graph.states import RunStatus, TaskStatus
from headrace.store import standing
from headrace.store.db import Tx
from headrace.store.recovery import CHILDREN
from headrace.store.standing import RunRecord

MOST_RUNS = 50
"""Runs below those that were asked for whose causes are told, too."""

_NOT_LOOKED = QueueLook()


async def explain(engine: Engine, run_id: UUID, queue: QueueLook = _NOT_LOOKED) -> Explanation:
    """Explains a run. queue: what the caller saw of the queue of tasks. Raises NotFound."""
    async with engine.db.transaction() as tx:
        found = await explain_in(engine, tx, [run_id], queue)
    if run_id not in found:
        raise NotFound("Workflow run not found")
    return found[run_id]


async def explain_in(
    engine: Engine, tx: Tx, run_ids: Sequence[UUID], queue: QueueLook = _NOT_LOOKED
) -> dict[UUID, Explanation]:
    """Explains those of the runs that are there.

    It reads the tasks of these runs and of some of the runs below them, and a few rows beside.
    """
    loading = _Loading(engine, tx)
    await loading.load(run_ids)
    while wanted := loading.next_level():
        await loading.load(wanted)
    pulse = await standing.pulse(tx, TASK_QUEUE, UNHEALTHY_SECONDS)
    facts = Facts(
        now=pulse.now,
        runs=loading.runs,
        workers=pulse.workers,
        queue=queue,
        key_holders=await standing.holders(tx, loading.held_for()),
        children=loading.children,
        sweep_seconds=SweepSettings().lost_delivery,
    )
    return {run_id: explain_run(facts, run_id) for run_id in run_ids if run_id in facts.runs}


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
        self.children |= found
        self._below = [run_id for ids in found.values() for run_id in ids]
