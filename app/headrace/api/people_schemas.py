"""What the API says and hears of signals, approvals and questions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from headrace.api.schemas import Body, Model
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.asking import Asked
from headrace.store.signals import KeptSignal


class SignalBody(Body):
    """id: the sender's, so that it counts once. node: the one node that it is for."""

    id: str | None = Field(None, min_length=1, max_length=200, description="The same id again does nothing.")
    payload: JsonValue = None
    node: str | None = Field(
        None,
        max_length=2_000,
        description="Only for this node; else for whichever waits. In a map, a loop or a sub-workflow by its"
        " path, as `map[3]/wait`.",
    )


class SignalSent(Model):
    """task_id: of the task that took it, null while the signal waits for one. run_id: of who keeps it."""

    id: str
    name: str
    task_id: str | None
    run_id: UUID


class SignalOut(Model):
    """A signal that a run was sent. node: the one that it is for, if one was named; taken_by: who took it.

    reason: why it was refused.
    """

    id: str
    name: str
    status: Literal["buffered", "consumed", "refused"]
    payload: JsonValue
    node: str | None
    run_id: UUID
    task_id: str | None
    taken_by: str | None
    reason: str | None
    sent_at: datetime

    @classmethod
    def of(cls, kept: KeptSignal) -> SignalOut:
        one, is_taken = kept.signal, kept.signal.position is not None
        return cls(
            id=one.id,
            name=one.name,
            status="refused" if one.refused is not None else "consumed" if is_taken else "buffered",
            payload=one.payload,
            node=one.node_id,
            run_id=kept.run_id,
            task_id=None if one.position is None else str(TaskId(kept.run_id, one.position)),
            taken_by=kept.taker,
            reason=one.refused,
            sent_at=one.at,
        )


class SignalList(Model):
    items: list[SignalOut]


class Approval(Model):
    """An approval that waits for a decision. until: when its time is out."""

    task_id: str
    run_id: UUID
    workflow_id: UUID
    node_id: str
    message: str
    options: list[str]
    form: JsonValue = Field(None, description="A JSON Schema of the decision's data.")
    default_option: str | None
    since: datetime
    until: datetime | None

    @classmethod
    def of(cls, one: Asked) -> Approval:
        return cls.model_validate(_facts(one) | one.asked)


class ApprovalList(Model):
    items: list[Approval]


class DecisionBody(Body):
    """decision: one of the options. data: as the form says. by: who decided."""

    decision: str
    data: JsonValue = None
    by: str | None = Field(None, max_length=500)


class OptionLink(Model):
    option: str
    url: str


class ApprovalLinks(Model):
    """A link for each option. The first that is used decides; after that, none does anything."""

    links: list[OptionLink]


class Question(Model):
    """A question that waits for an answer. until: when its time is out."""

    task_id: str
    run_id: UUID
    workflow_id: UUID
    node_id: str
    question: str
    type: str | None
    actor: str | None
    answer_type: str
    answer_schema: JsonValue = None
    since: datetime
    until: datetime | None

    @classmethod
    def of(cls, one: Asked) -> Question:
        return cls.model_validate(_facts(one) | one.asked)


class QuestionList(Model):
    items: list[Question]


class AnswerBody(Body):
    """type: of the question, if it has one. by: who answered."""

    type: str | None = Field(None, max_length=500)
    answer: JsonValue = None
    by: str | None = Field(None, max_length=500)


class Told(Model):
    """The task that goes on now."""

    task_id: str


def _facts(one: Asked) -> JsonObject:
    return {
        "taskId": str(one.task),
        "runId": str(one.task.run_id),
        "workflowId": str(one.workflow_id),
        "nodeId": one.node_id,
        "since": one.since.isoformat(),
        "until": one.until.isoformat() if one.until else None,
    }
