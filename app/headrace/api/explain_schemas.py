"""What the API says of why tasks do not run."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from headrace.api.schemas import Model
from headrace.graph.explain import Explanation, TaskExplanation
from headrace.graph.explain_causes import Cause, CauseKind
from headrace.graph.json_types import JsonObject
from headrace.graph.states import RunStatus, TaskStatus


class CauseOut(Model):
    """One link of a chain. causes: why it is so, down to the root.

    text: a clause without its subject. node_id, run_id: which is meant, if one is. details: what is
    particular to the kind.
    """

    kind: CauseKind
    text: str
    node_id: str | None
    run_id: UUID | None
    since: datetime | None
    until: datetime | None
    details: JsonObject
    causes: list[CauseOut]

    @classmethod
    def of(cls, cause: Cause) -> CauseOut:
        return cls(
            kind=cause.kind,
            text=cause.text,
            node_id=cause.node_id,
            run_id=cause.run_id,
            since=cause.since,
            until=cause.until,
            details=cause.details,
            causes=[cls.of(one) for one in cause.causes],
        )


class TaskExplanationOut(Model):
    """A task that does not run, or did not. has_more: it waits for more than `causes` tells."""

    id: str
    node_id: str
    status: TaskStatus
    text: str
    has_more: bool
    causes: list[CauseOut]

    @classmethod
    def of(cls, task: TaskExplanation) -> TaskExplanationOut:
        return cls(
            id=str(task.task),
            node_id=task.node_id,
            status=task.status,
            text=task.text,
            has_more=task.has_more,
            causes=[CauseOut.of(one) for one in task.causes],
        )


class ExplanationOut(Model):
    """Why a run does not go on or failed, and why its tasks do not run. text: '' if it ended otherwise."""

    run_id: UUID
    status: RunStatus
    text: str
    has_more: bool
    causes: list[CauseOut]
    tasks: list[TaskExplanationOut]

    @classmethod
    def of(cls, explanation: Explanation) -> ExplanationOut:
        return cls(
            run_id=explanation.run_id,
            status=explanation.status,
            text=explanation.text,
            has_more=explanation.has_more,
            causes=[CauseOut.of(one) for one in explanation.causes],
            tasks=[TaskExplanationOut.of(one) for one in explanation.tasks],
        )
