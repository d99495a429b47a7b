"""What an explanation rests on: the runs concerned, their tasks that have not completed, who holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from headrace.graph.children import Batch
from headrace.graph.ids import TaskId
from headrace.graph.plan import Plan
from headrace.graph.project import DEFAULT_PROJECT, EVERY_PROJECT
from headrace.graph.queue_names import task_queue
from headrace.graph.states import ENDED, RunStatus, TaskStatus


@dataclass(frozen=True, slots=True)
class RefusedSignal:
    """A signal that came before its task waited for it, and was not what that wanted."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Where a task stands. is_propagated: its successors were told of its end. error: `Kind: message`.

    The others are the columns of its row; batch: of the children that it waits for. asks, asks_whom: what it
    asks people, and whom. refused: the last signal that it refused when it began to wait. failed_children:
    the first few runs that it failed with.
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
    priority: int = 5
    project: str = DEFAULT_PROJECT
    asks: str | None = None
    asks_whom: str | None = None
    refused: RefusedSignal | None = None
    failed_children: tuple[UUID, ...] = ()

    @property
    def queue(self) -> str:
        """Where its job stands."""
        return task_queue(self.priority, self.project)

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
    first. holders: runs that have the key. is_child, child_index: it runs for a task of another run;
    is_body: and runs a part of that run's workflow.
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
    is_body: bool = False


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What one queue of tasks looks like. depth: jobs that stand in it. listeners: workers that take them."""

    depth: int
    listeners: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that explaining asks. now: the database's clock. workers: worker processes with a fresh heartbeat;
    listeners: how many of them take jobs of a queue, and under `*` of all queues of tasks. looks: what was
    seen of the queues, if somebody looked.

    key_holders: by concurrency key of tasks. children: runs that have begun and not ended, the first few of
    each task; of a failed one, those that failed. sweep_seconds: how old a delivery is when the sweep looks
    for its job. offers: how many workers that run have an activity, of those that were ever declared.
    """

    now: datetime
    runs: Mapping[UUID, RunFacts]
    workers: int
    listeners: Mapping[str, int] = field(default_factory=dict)
    looks: Mapping[str, QueueLook] = field(default_factory=dict)
    key_holders: Mapping[str, Sequence[Holder]] = field(default_factory=dict)
    children: Mapping[TaskId, Sequence[UUID]] = field(default_factory=dict)
    sweep_seconds: float = 10.0
    offers: Mapping[str, int] = field(default_factory=dict)

    def is_served(self, queue: str) -> bool:
        """Whether somebody takes jobs from there."""
        look = self.looks.get(queue)
        known = self.listeners.get(queue) or self.listeners.get(EVERY_PROJECT)
        return bool(known or (look and look.listeners))
