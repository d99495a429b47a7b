"""What the API says of runs, as `/docs` shows it. Times are ISO 8601 in UTC unless a field says ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from headrace.api.schemas import Model, milliseconds
from headrace.engine.inner import InnerTask
from headrace.engine.reading import RunDetail
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.settings import Priority
from headrace.graph.states import RUN_ENDED, RunStatus, TaskStatus
from headrace.store.events import StoredEvent
from headrace.store.family import ChildRun
from headrace.store.heartbeats import Beat
from headrace.store.results import Task
from headrace.store.run_reading import Run


class RunResult(Model):
    """How many tasks ended how. cancelled is there when the run was."""

    completed_tasks: int
    failed_tasks: int
    skipped_tasks: int
    upstream_failed_tasks: int
    cancelled_tasks: int
    total_tasks: int
    cancelled: Literal[True] | None = Field(None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, run: Run) -> RunResult | None:
        """None while the run goes on."""
        if run.status not in RUN_ENDED:
            return None
        return cls(
            completed_tasks=run.completed,
            failed_tasks=run.failed,
            skipped_tasks=run.skipped,
            upstream_failed_tasks=run.upstream_failed,
            cancelled_tasks=run.cancelled,
            total_tasks=run.total,
            cancelled=True if run.status is RunStatus.CANCELLED else None,
        )


class ExecutedLine(Model):
    """A line of the log, as the synchronous call has it."""

    kind: str
    node_id: str | None
    name: str
    content: str


class Executed(Model):
    """A run that ended while its client waited."""

    run_id: UUID
    status: RunStatus
    logs: list[ExecutedLine]
    result: RunResult | None
    outputs: JsonObject | None

    @classmethod
    def of(cls, detail: RunDetail) -> Executed:
        return cls(
            run_id=detail.run.id,
            status=detail.run.status,
            logs=[_executed_line(line) for line in detail.log],
            result=RunResult.of(detail.run),
            outputs=detail.outputs,
        )


class WorkflowRunLine(Model):
    """A run in its workflow's list."""

    id: UUID
    status: RunStatus
    started_at: int = Field(description="Milliseconds since 1970.")
    finished_at: int | None = Field(None, description="Milliseconds since 1970; absent until it has ended.")

    @classmethod
    def of(cls, run: Run) -> WorkflowRunLine:
        ended = run.finished_at and milliseconds(run.finished_at)
        return cls(id=run.id, status=run.status, started_at=milliseconds(run.started_at), finished_at=ended)


class RunSummary(Model):
    """A run in the list over all workflows.

    parent_run_id: the run that it runs for, as a sub-workflow or an item of a map; child_index: which item.
    origin: what began it, as `{rerunOf}` or `{type: "webhook", ...}`; null of one that a client started.
    """

    id: UUID
    workflow_id: UUID
    project: str
    version: int
    status: RunStatus
    reason: str | None
    started_at: datetime
    finished_at: datetime | None
    result: RunResult | None
    parent_run_id: UUID | None
    child_index: int | None
    priority: str = Field(examples=["NORMAL"])
    origin: JsonValue

    @classmethod
    def of(cls, run: Run) -> RunSummary:
        return cls(**_run_facts(run))


class RunList(Model):
    items: list[RunSummary]


class ChildRunOut(Model):
    """A run that a task started: of an item, an iteration or another workflow. index: its place."""

    run_id: UUID
    index: int
    status: RunStatus


class HeartbeatOut(Model):
    """What a running node said last of how far it is. progress: from 0 to 1."""

    progress: float | None
    details: JsonValue
    at: datetime

    @classmethod
    def of(cls, beat: Beat) -> HeartbeatOut:
        return cls(progress=beat.progress, details=beat.details, at=beat.at)


class TaskBeat(HeartbeatOut):
    """The same with its task, as a stream of events has it."""

    run_id: UUID
    node_id: str
    task_id: str

    @classmethod
    def of(cls, beat: Beat) -> TaskBeat:
        facts = HeartbeatOut.of(beat).model_dump()
        return cls(**facts, run_id=beat.task.run_id, node_id=beat.node_id, task_id=str(beat.task))


class TaskOut(Model):
    """One node of a run. What a map or a loop does for an item is named as `map[3]/node`.

    error: as text; error_details: as data. caused_by: the node whose end decided this one's. wake_at: when a
    wait is over. position: its place in the graph's order. children: how many runs it started, by status;
    child_runs: the first of these. run_id: the run of the item, of a task of a map or a loop.
    explanation: why it does not run, in a line; only of one that has not ended.
    heartbeat: only of one that runs.
    """

    id: str
    node_id: str
    node_type: str
    status: TaskStatus
    position: int
    attempt: int
    input: JsonValue
    output: JsonValue
    error: str | None
    error_details: JsonObject | None
    reason: str | None
    caused_by: str | None
    waits_for: str | None
    wake_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    explanation: str | None
    children: dict[str, int] | None = Field(None, exclude_if=lambda value: value is None)
    child_runs: list[ChildRunOut] | None = Field(None, exclude_if=lambda value: value is None)
    run_id: UUID | None = Field(None, exclude_if=lambda value: value is None)
    heartbeat: HeartbeatOut | None = Field(None, exclude_if=lambda value: value is None)

    def with_heartbeat(self, beat: Beat | None) -> TaskOut:
        """With what its node said last, if it runs and said something."""
        return self if beat is None else self.model_copy(update={"heartbeat": HeartbeatOut.of(beat)})

    @classmethod
    def of_inner(cls, inner: InnerTask, explanation: str | None) -> TaskOut:
        update = {"node_id": inner.key, "run_id": inner.task.id.run_id}
        return cls.of(inner.task, inner.input, explanation).model_copy(update=update)

    def with_children(self, counts: Mapping[str, int] | None, runs: Sequence[ChildRun]) -> TaskOut:
        """With the runs that it started; the same for one that started none."""
        if counts is None:
            return self
        shown = [ChildRunOut(run_id=one.id, index=one.index, status=one.status) for one in runs]
        return self.model_copy(update={"children": dict(counts), "child_runs": shown})

    @classmethod
    def of(
        cls,
        task: Task,
        task_input: JsonValue,
        explanation: str | None,
    ) -> TaskOut:
        return cls(
            id=str(task.id),
            node_id=task.node_id,
            node_type=task.node_type,
            status=task.status,
            position=task.id.position,
            attempt=task.attempt,
            input=task_input,
            output=task.output,
            error=None if task.error is None else str(task.error.get("message", "")),
            error_details=task.error,
            reason=task.reason,
            caused_by=task.caused_by,
            waits_for=task.held_for or task.waits_for,
            wake_at=task.wake_at,
            queued_at=task.queued_at,
            started_at=task.started_at,
            completed_at=task.finished_at,
            explanation=explanation,
        )


class LogOut(Model):
    """A line of a run's log. type: info, error, node-output or system."""

    id: str
    type: str
    message: str
    timestamp: datetime
    node_id: str | None
    kind: str | None

    @classmethod
    def of(cls, line: StoredEvent) -> LogOut:
        return cls(
            id=str(line.cursor.id),
            type=_datum(line, "type") or "info",
            message=line.event.message or "",
            timestamp=line.at,
            node_id=line.event.node_id,
            kind=_datum(line, "kind") or None,
        )


class Logs(Model):
    logs: list[LogOut]

    @classmethod
    def of(cls, lines: list[StoredEvent]) -> Logs:
        return cls(logs=[LogOut.of(line) for line in lines])


class RunOut(RunSummary):
    """A run with all that is known of it. result and outputs are null until it has ended.

    activities: the versions of stored activities that it uses, as hashes by name.
    """

    input: JsonValue
    activities: dict[str, str]
    outputs: JsonObject | None
    tasks: list[TaskOut]
    logs: list[LogOut]

    @classmethod
    def of_detail(cls, detail: RunDetail) -> RunOut:
        return cls(
            **_run_facts(detail.run),
            input=detail.run.input,
            activities=detail.run.pins,
            outputs=detail.outputs,
            tasks=_tasks(detail),
            logs=[LogOut.of(line) for line in detail.log],
        )


def _tasks(detail: RunDetail) -> list[TaskOut]:
    """The run's own tasks, then those of its maps and loops."""
    lines, inputs, children = detail.explanations, detail.inputs, detail.children
    own = [
        TaskOut.of(task, inputs.get(task.id.position), lines.get(task.id)).with_children(
            children.get(task.id.position), detail.child_runs.get(task.id.position, ())
        )
        for task in detail.tasks
    ]
    all_tasks = own + [TaskOut.of_inner(inner, lines.get(inner.task.id)) for inner in detail.inner]
    beats = {str(task): beat for task, beat in detail.beats.items()}
    return [task.with_heartbeat(beats.get(task.id)) for task in all_tasks]


class Cancelled(Model):
    cancelled: Literal[True] = True


class EventOut(Model):
    """One line of a run's history. type: as `task.completed`; docs/reference/events.md lists them."""

    id: str
    type: str
    run_id: UUID
    node_id: str | None
    position: int | None
    message: str | None
    data: JsonValue
    at: datetime

    @classmethod
    def of(cls, stored: StoredEvent) -> EventOut:
        event = stored.event
        return cls(
            id=str(stored.cursor),
            type=event.type,
            run_id=event.run_id,
            node_id=event.node_id,
            position=event.position,
            message=event.message,
            data=event.data,
            at=stored.at,
        )


def _run_facts(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "project": run.project,
        "version": run.version,
        "status": run.status,
        "reason": run.reason,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "result": RunResult.of(run),
        "parent_run_id": run.parent and run.parent.run_id,
        "child_index": run.child_index,
        "priority": Priority(run.priority).name,
        "origin": run.origin,
    }


def _executed_line(line: StoredEvent) -> ExecutedLine:
    return ExecutedLine(
        kind=_datum(line, "kind") or _datum(line, "type"),
        node_id=line.event.node_id,
        name=_datum(line, "name"),
        content=line.event.message or "",
    )


def _datum(line: StoredEvent, key: str) -> str:
    data = line.event.data
    return str(data.get(key, "")) if isinstance(data, dict) else ""
