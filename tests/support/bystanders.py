"""Runs amid people, workers and the clock: what a state machine does to them, a transaction at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from headrace.engine.control import cancel_run, resume_run
from headrace.engine.execute import claim, perform
from headrace.engine.prepare import Execution
from headrace.engine.program import Engine
from headrace.engine.release import release
from headrace.engine.settle import settle
from headrace.engine.signals import SignalRequest, send_signal
from headrace.engine.start import StartRequest, start_run
from headrace.engine.sweep import expire_worker, wake_due
from headrace.engine.verify import verify
from headrace.errors import WrongState
from headrace.graph.dispatch import Dispatch, Release, RunTask
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.states import RunStatus
from headrace.store.claims import Delivery
from headrace.store.db import Record
from support.build import edge, node, workflow
from support.drive import WORKER, NoHttp
from support.family import a_map
from support.rows import end_waits, sql

ROUNDS = 60
"""In which a run must have ended that is helped along."""


def script(name: str, _options: JsonObject | None = None, **config: JsonValue) -> JsonObject:
    retry: JsonObject = {"maxAttempts": 2, "strategy": "fixed", "jitter": False}
    return {**node(name, "script", config=config, retry=retry), **(_options or {})}


def fails_once(name: str) -> JsonObject:
    return script(name, do="fail", times=1, retryable=False)


NOT_AT_ONCE = ("w", "side", "wait", "map", "item")
"""Nodes that wait, so that their code runs more than once."""
TIDY: JsonObject = {**script("f-tidy"), "finally": True}
UNDONE: JsonObject = {"compensateWith": "u-a"}
SIGNALLED = node("wait", "waitSignal", config={"name": "go", "timeout": "1h"})
ANY: JsonObject = {"join": {"rule": "any_success", "onLosers": "cancel"}}

WORKFLOWS: dict[str, JsonObject] = {
    "chain": workflow([script("a"), script("b"), script("c")], [edge("a", "b"), edge("b", "c")]),
    "race": workflow(
        [script("a"), script("w", do="wait"), script("first", ANY), script("z"), TIDY],
        [edge("a", "first"), edge("w", "first"), edge("first", "z")],
    ),
    "failure": workflow(
        [script("a"), fails_once("bad"), script("side", do="wait"), script("after"), TIDY],
        [edge("a", "bad"), edge("a", "side"), edge("bad", "after"), edge("side", "after")],
    ),
    "signal": workflow([SIGNALLED, script("after"), TIDY], [edge("wait", "after")]),
    "undo": workflow([script("a", UNDONE), script("b"), script("u-a"), TIDY], [edge("a", "b")]),
    "pause": workflow([fails_once("bad"), script("after")], [edge("bad", "after")], onFailure="pause"),
    "end": workflow(
        [script("a"), node("stop", "terminate"), script("w", do="wait"), TIDY], [edge("a", "stop")]
    ),
    "map": workflow(
        [a_map("map", script("item", do="wait"), items=[1, 2, 3], maxConcurrency=2), script("z"), TIDY],
        [edge("map", "z")],
    ),
}


@dataclass
class Tracked:
    """A run as the machine knows it. is_cancelled: a cancel was accepted, and no retry since."""

    id: UUID
    is_cancelled: bool = False
    is_retried: bool = False


@dataclass
class World:
    """The engine, and what stands between it and its workers.

    bag: jobs to deliver. held: claimed tasks whose code has not run. ran: how often code ran, by delivery.
    """

    engine: Engine
    workflows: dict[str, UUID]
    runs: list[Tracked] = field(default_factory=list)
    bag: list[Dispatch] = field(default_factory=list)
    held: list[Execution] = field(default_factory=list)
    ran: Counter[tuple[object, ...]] = field(default_factory=Counter)
    lost: set[UUID] = field(default_factory=set)

    async def start(self, name: str) -> None:
        started = await start_run(self.engine, StartRequest(self.workflows[name]))
        self.runs.append(Tracked(started.run_id))
        self.bag += started.dispatches

    async def take(self, dispatch: Dispatch) -> None:
        """What a worker does with one job, up to the node's code."""
        match dispatch:
            case RunTask(task=task, attempt=attempt, delivery=delivery):
                was_stopped = {run.id for run in self.runs if run.is_cancelled}
                taken = await claim(self.engine, [Delivery(task, attempt, delivery)], WORKER)
                # After a cancel, nothing of the run's graph begins.
                wanted = [one for one in taken if one.node.id[:2] not in ("f-", "u-")]
                assert not was_stopped & {one.task.run_id for one in wanted}
                self.held += taken
            case Release(tasks=tasks):
                self.bag += await release(self.engine, tasks)

    async def finish(self, execution: Execution) -> None:
        """Runs the code and records the answer, which may come too late."""
        self.ran[(*execution.task, execution.claim.attempt, execution.claim.delivery)] += 1
        finished = await perform(execution, NoHttp())
        self.bag += (await settle(self.engine, [finished])).dispatches

    async def cancel(self, run: Tracked) -> bool:
        try:
            self.bag += await cancel_run(self.engine, run.id)
        except WrongState:
            return False
        run.is_cancelled = True
        return True

    async def signal(self, engine: Engine, run_id: UUID) -> Sequence[Dispatch]:
        return (await send_signal(engine, SignalRequest(run_id, "go", {}))).dispatches

    async def may_be_cancelled(self, run: Tracked) -> bool:
        (row,) = await sql(
            self.engine.db, "SELECT finished_at, verdict FROM workflow_runs WHERE id = $1", run.id
        )
        return row.finished_at is None and row.verdict is None

    async def still_open(self, run: Tracked) -> list[str]:
        """The nodes of the run's graph that have not ended."""
        rows = await sql(
            self.engine.db,
            "SELECT node_id FROM workflow_tasks WHERE run_id = $1 AND finished_at IS NULL"
            " AND node_id NOT LIKE 'f-%' AND node_id NOT LIKE 'u-%'",
            run.id,
        )
        return [row.node_id for row in rows]

    async def wake(self) -> None:
        await end_waits(self.engine.db)
        self.bag += await wake_due(self.engine)

    async def lose_worker(self) -> None:
        """What it held goes back to the queue; its answers, if they still come, are late."""
        self.lost |= {one.task.run_id for one in self.held}
        self.bag += await expire_worker(self.engine, WORKER)

    async def drain(self) -> None:
        """Helps all runs along until they have ended."""
        for _ in range(ROUNDS):
            while self.bag or self.held:
                while self.held:
                    await self.finish(self.held.pop())
                if self.bag:
                    await self.take(self.bag.pop(0))
            rows = await sql(self.engine.db, "SELECT id, status FROM workflow_runs WHERE finished_at IS NULL")
            if not rows:
                return
            for row in rows:
                if row.status == RunStatus.PAUSED:
                    with suppress(WrongState):  # a child goes on with its parent
                        self.bag += await resume_run(self.engine, row.id)
            await self.wake()
        raise AssertionError(f"runs do not end: {rows}")

    async def require_all_is_well(self) -> None:
        db = self.engine.db
        assert await verify(db) == []
        assert await sql(db, "SELECT 1 FROM workflow_tasks WHERE NOT propagated OR finished_at IS NULL") == []
        assert set(self.ran.values()) <= {1}
        rows = await sql(db, "SELECT r.id, r.status, r.verdict FROM workflow_runs r")
        statuses = {row.id: (row.status, row.verdict) for row in rows}
        tasks = await sql(db, "SELECT run_id, position, node_id, status FROM workflow_tasks")
        failed = {task.run_id for task in tasks if task.status == "failed"}
        for run in self.runs:
            status, verdict = statuses[run.id]
            assert (verdict == "cancelled") == run.is_cancelled
            if run.is_cancelled:
                assert status == "cancelled" or (status == "failed" and run.id in failed)
        self.require_counts(tasks)

    def require_counts(self, tasks: Sequence[Record]) -> None:
        """What answers at once ran once for each of its ends, unless its run was retried or lost a worker."""
        counts = Counter(key[:2] for key in self.ran.elements())
        retried = {run.id for run in self.runs if run.is_retried}
        for task in tasks:
            if task.run_id in retried | self.lost or task.node_id in NOT_AT_ONCE:
                continue
            expected = {"completed": (1,), "failed": (1,), "cancelled": (0, 1)}.get(task.status, (0,))
            assert counts[task.run_id, task.position] in expected, (task.node_id, task.status)
