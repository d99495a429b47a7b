"""What a test sees of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from headrace.engine.reading import RunDetail
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.events import StoredEvent
from headrace.store.results import Task


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One node of a run. waits_for: what a waiting one waits for, as `approval`, `timer` or `retry`.

    status: pending, queued, running, waiting, completed, failed, skipped, upstream_failed or cancelled.
    input: None until it has begun. error: {type, message, ...}. reason: why it was skipped or cancelled.
    """

    id: TaskId
    type: str
    status: str
    attempt: int
    input: JsonValue
    output: JsonValue
    error: JsonObject | None
    reason: str | None
    waits_for: str | None

    @classmethod
    def of(cls, task: Task, task_input: JsonValue) -> TaskResult:
        return cls(
            id=task.id,
            type=task.node_type,
            status=task.status.value,
            attempt=task.attempt,
            input=task_input,
            output=task.output,
            error=task.error,
            reason=task.reason,
            waits_for=task.held_for or task.waits_for,
        )


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of a run's log. node: None for the run itself. kind: what wrote it, as `notification`."""

    node: str | None
    kind: str
    text: str

    @classmethod
    def of(cls, line: StoredEvent) -> LogEntry:
        data = line.event.data if isinstance(line.event.data, dict) else {}
        return cls(line.event.node_id, str(data.get("kind") or ""), line.event.message or "")


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run. status: queued, running, paused, succeeded, failed or cancelled. reason: why, if that is known.

    outputs: None until it has ended. tasks: by node id; those inside of maps and loops as `map[3]/node`.
    """

    id: UUID
    status: str
    reason: str | None
    outputs: JsonObject | None
    tasks: Mapping[str, TaskResult]
    log: tuple[LogEntry, ...]

    @classmethod
    def of(cls, detail: RunDetail) -> RunResult:
        own = {
            task.node_id: TaskResult.of(task, detail.inputs.get(task.id.position)) for task in detail.tasks
        }
        inner = {one.key: TaskResult.of(one.task, one.input) for one in detail.inner}
        return cls(
            id=detail.run.id,
            status=detail.run.status.value,
            reason=detail.run.reason,
            outputs=detail.outputs,
            tasks=own | inner,
            log=tuple(LogEntry.of(line) for line in detail.log),
        )

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each task, by node id: what most tests compare."""
        return {name: task.status for name, task in self.tasks.items()}

    @property
    def waiting(self) -> dict[str, str | None]:
        """What the waiting tasks wait for, by node id."""
        return {name: task.waits_for for name, task in self.tasks.items() if task.status == "waiting"}

    @property
    def lines(self) -> list[str]:
        """The texts of the log."""
        return [line.text for line in self.log]
