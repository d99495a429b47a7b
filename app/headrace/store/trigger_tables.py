"""The tables of what starts runs: schedules, webhooks, event handlers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from headrace.graph.json_types import JsonValue
from headrace.graph.overlap import Overlap
from headrace.store.columns import instant, json, one_of

ORIGINS = ("clock", "trigger", "backfill")
SLOT_STATES = ("waiting", "started", "ended", "skipped", "missed", "failed")


def _workflow() -> Column[UUID]:
    return Column(ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False)


class ScheduleRow(SQLModel, table=True):
    """When to start runs of a workflow.

    input: goes into each run's. jitter, catch_up: seconds. next_slot: the first that nobody has looked at;
    null when there are no more. due_at: when to look at it.
    """

    __tablename__ = "workflow_schedules"
    __table_args__ = (
        CheckConstraint(one_of("overlap", Overlap), name="overlap"),
        CheckConstraint("jitter >= 0 AND catch_up >= 0", name="seconds"),
        CheckConstraint("(next_slot IS NULL) = (due_at IS NULL)", name="due"),
        Index(None, "workflow_id"),
        Index("workflow_schedules_due_idx", "due_at", postgresql_where=text("NOT is_paused")),
    )

    id: UUID = Field(primary_key=True)
    workflow_id: UUID = Field(sa_column=_workflow())
    name: str = Field(sa_column=Column(Text, nullable=False))
    cron: str = Field(sa_column=Column(Text, nullable=False))
    time_zone: str = Field(sa_column=Column(Text, nullable=False))
    input: JsonValue = Field(sa_column=json(required=True))
    overlap: str = Field(sa_column=Column(Text, nullable=False))
    jitter: float
    catch_up: float
    is_paused: bool = Field(sa_column_kwargs={"server_default": text("false")})
    next_slot: datetime | None = Field(sa_column=instant(required=False))
    due_at: datetime | None = Field(sa_column=instant(required=False))
    created_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class ScheduleSlotRow(SQLModel, table=True):
    """One moment of a schedule, and what came of it. Its key is what keeps two from starting it.

    origin: who asked for it. overlap: what to do while an earlier run goes on. No foreign key on the run:
    a slot is still taken when its run is gone.
    """

    __tablename__ = "schedule_slots"
    __table_args__ = (
        CheckConstraint(one_of("origin", ORIGINS), name="origin"),
        CheckConstraint(one_of("overlap", Overlap), name="overlap"),
        CheckConstraint(one_of("state", SLOT_STATES), name="state"),
        CheckConstraint("(state IN ('started', 'ended')) = (run_id IS NOT NULL)", name="run"),
        Index(
            "schedule_slots_waiting_idx", "schedule_id", "slot", postgresql_where=text("state = 'waiting'")
        ),
        Index("schedule_slots_started_idx", "schedule_id", postgresql_where=text("state = 'started'")),
    )

    schedule_id: UUID = Field(
        sa_column=Column(
            ForeignKey("workflow_schedules.id", ondelete="CASCADE"), primary_key=True, nullable=False
        )
    )
    slot: datetime = Field(sa_column=Column(instant().type, primary_key=True, nullable=False))
    origin: str = Field(sa_column=Column(Text, nullable=False))
    overlap: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    run_id: UUID | None
    reason: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=instant(default="now()"))


class WebhookRow(SQLModel, table=True):
    """An address that starts runs of a workflow.

    secret: sealed; null for a webhook that believes everybody. filters: values that the payload must have, by
    dotted path. mapping: what the run's input is made from; null for the whole delivery. tolerance: how old a
    signed time may be, in seconds; null when deliveries need none.
    """

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "workflow_id"),)

    id: UUID = Field(primary_key=True)
    path: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    workflow_id: UUID = Field(sa_column=_workflow())
    secret: bytes | None = Field(sa_column=Column(LargeBinary))
    filters: JsonValue = Field(sa_column=json(required=True))
    mapping: JsonValue = Field(sa_column=json())
    tolerance: float | None
    is_active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    created_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class WebhookDeliveryRow(SQLModel, table=True):
    """A delivery that has started a run, by its sender's id and by its signature, for a day."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index(None, "webhook_id", "received_at"),)

    webhook_id: UUID = Field(
        sa_column=Column(ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    key: str = Field(primary_key=True)
    run_id: UUID
    received_at: datetime = Field(sa_column=instant(default="now()"))


class EventHandlerRow(SQLModel, table=True):
    """What an event does. pattern: names with `*`. condition: json-logic over the event; null for always."""

    __tablename__ = "event_handlers"

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    pattern: str = Field(sa_column=Column(Text, nullable=False))
    condition: JsonValue = Field(sa_column=json())
    action: JsonValue = Field(sa_column=json(required=True))
    is_active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    created_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class ReceivedEventRow(SQLModel, table=True):
    """An event with an id, for a day: the same one again does nothing.

    answer: `{digest, results}`: of the first one's data, and what it did.
    """

    __tablename__ = "received_events"
    __table_args__ = (Index(None, "received_at"),)

    name: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    answer: JsonValue = Field(sa_column=json(required=True))
    received_at: datetime = Field(sa_column=instant(default="now()"))
