"""What an explanation rests on: the runs concerned, their tasks that have not completed, who holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from headrace.graph.children import Batch
from headrace.graph.ids import TaskId
from headrace.graph.plan import Plan
from headrace.graph.states import ENDED, RunStatus, TaskStatus

TASK_QUEUE = "workflow-tasks"
"""Where jobs of tasks stand. `headrace.queues.names` says the same, but that is a floor above."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Where a task stands. is_propagated: its successors were told of its end. error: `Kind: message`.

    The others are the columns of its row; batch: of the children that it waits for.
    """

    position: int
    node_id: str
    status: TaskStatus
    attempt: int = 0
    waits_for: str | None = None
    signal: str | None = None
    held_for: str | None = None
    is_paused: bool = False
    wake_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    is_propagated: bool = False
    reason: str | None = None
    caused_by: str | None = None
    error: str | None = None
    batch: Batch | None = None

    @property
    def is_open(self) -> bool:
        """Whether what follows it still waits for it."""
        return self.status not in ENDED or not self.is_propagated


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that counts against a key since then. node_id: which of its nodes; None: the run as a whole."""

    run_id: UUID
    since: datetime
    node_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Where a run stands. tasks: by position, without those that completed and whose successors were told.

    paused_at: since when it is paused. key: that it counts against; ahead: queued runs whose turn comes
    first. holders: runs that have the key. is_child, child_index: it runs for a task of another run.
    """

    id: UUID
    plan: Plan
    status: RunStatus
    tasks: Mapping[int, TaskFacts] = field(default_factory=dict)
    verdict: RunStatus | None = None
    reason: str | None = None
    paused_at: datetime | None = None
    key: str | None = None
    ahead: int = 0
    holders: Sequence[Holder] = ()
    is_child: bool = False
    child_index: int | None = None


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What the queue of tasks looks like. None: nobody looked.

    depth: jobs that stand in it. listeners: workers that take them.
    """

    depth: int | None = None
    listeners: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that explaining asks. now: the database's clock. workers: worker processes with a fresh heartbeat.

    key_holders: by concurrency key of tasks. children: runs that have begun and not ended, the first few of
    each task. sweep_seconds: how old a delivery is when the sweep looks for its job.
    """

    now: datetime
    runs: Mapping[UUID, RunFacts]
    workers: int
    queue: QueueLook = QueueLook()
    key_holders: Mapping[str, Sequence[Holder]] = field(default_factory=dict)
    children: Mapping[TaskId, Sequence[UUID]] = field(default_factory=dict)
    sweep_seconds: float = 10.0
