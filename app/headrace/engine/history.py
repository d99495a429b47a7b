"""The events that the engine writes, in one place: docs/reference/events.md lists them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject
from headrace.graph.states import RunStatus, TaskStatus
from headrace.nodes.base import LogLine
from headrace.store.codec import plain
from headrace.store.events import LOG, Event
from headrace.store.signals import Signal, Waiter
from headrace.store.tasks import Queued


def task(task_id: TaskId, node_id: str, status: TaskStatus, **data: str | int | float | None) -> Event:
    """A task's new status: `task.completed` and so on."""
    facts: JsonObject = {key: value for key, value in data.items() if value is not None}
    return Event(task_id.run_id, f"task.{status}", task_id.position, node_id, data=facts or None)


def run_started(run_id: UUID) -> list[Event]:
    return [Event(run_id, "run.started"), system_line(run_id, "Async workflow run started")]


def run_queued(run_id: UUID) -> Event:
    """It waits for its turn."""
    return Event(run_id, "run.queued")


def runs_dropped(run_ids: Sequence[UUID], reason: str) -> list[Event]:
    """They were cancelled before their turn came."""
    data: JsonObject = {"status": RunStatus.CANCELLED.value, "reason": reason}
    return [Event(run_id, f"run.{RunStatus.CANCELLED}", data=data) for run_id in run_ids]


def run_ended(run_id: UUID, status: RunStatus, reason: str | None) -> list[Event]:
    data: JsonObject = {"status": status.value, "reason": reason}
    ended = Event(run_id, f"run.{status}", data=data)
    # The log of a cancelled run has said so when the cancel came.
    was_said = status is RunStatus.CANCELLED
    return [ended] if was_said else [ended, system_line(run_id, f"Workflow run {status}")]


def run_paused(run_id: UUID, reason: str) -> list[Event]:
    return [
        Event(run_id, "run.paused", data={"reason": reason}),
        system_line(run_id, f"Workflow run paused: {reason}"),
    ]


def run_resumed(run_id: UUID) -> list[Event]:
    return [Event(run_id, "run.resumed"), system_line(run_id, "Workflow run resumed")]


def run_cancelling(run_id: UUID) -> list[Event]:
    return [Event(run_id, "run.cancelling"), system_line(run_id, "Workflow run cancelled")]


def system_line(run_id: UUID, message: str) -> Event:
    """A line of the log that no node wrote."""
    return Event(run_id, LOG, message=message, data={"type": "system"})


def lines(task_id: TaskId, node_id: str, node_name: str, log: Sequence[LogLine]) -> list[Event]:
    """What a node wrote into the log."""
    return [
        Event(
            task_id.run_id,
            LOG,
            task_id.position,
            node_id,
            plain(line.message),
            {"type": line.type, "kind": line.kind, "name": node_name},
        )
        for line in log
    ]


def run_reopened(run_id: UUID) -> Event:
    """A retry in place: the run goes on."""
    return Event(run_id, "run.reopened")


def task_reopened(task_id: TaskId, node_id: str, is_told: bool = False) -> Event:
    """A task has not ended after all; or (`is_told`) its end counts once more for those that run again."""
    data: JsonObject = {"again": True} if is_told else {}
    kind = "task.counted_again" if is_told else "task.reopened"
    return Event(task_id.run_id, kind, task_id.position, node_id, data=data or None)


def signal_received(run_id: UUID, signal: Signal, taker: Waiter | None) -> Event:
    """taker: the task that takes it at once; None for one that came early."""
    position, node_id = (taker.task.position, taker.node_id) if taker else (None, None)
    return Event(run_id, "signal.received", position, node_id, data={"name": signal.name, "id": signal.id})


def signal_refused(waiter: Waiter, node_name: str, signal: Signal, reason: str) -> list[Event]:
    """The task that waited for it does not accept what came early: its sender is gone, so the log says so."""
    data: JsonObject = {"name": signal.name, "id": signal.id, "reason": reason}
    told = f"Signal '{signal.name}' ({signal.id}) came early and is refused: {reason}"
    refused = Event(waiter.task.run_id, "signal.refused", waiter.task.position, waiter.node_id, data=data)
    return [refused, *lines(waiter.task, waiter.node_id, node_name, [LogLine("info", "warning", told)])]


def queued(tasks: Sequence[Queued]) -> list[Event]:
    """`task.queued` of each."""
    return [
        task(one.task, one.node_id, TaskStatus.QUEUED, attempt=one.attempt, delivery=one.delivery)
        for one in tasks
    ]
