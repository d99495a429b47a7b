"""The tables of activities that workers have declared, and of the heartbeats of running nodes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, Double, ForeignKey, ForeignKeyConstraint, Text
from sqlmodel import Field, SQLModel

from headrace.graph.json_types import JsonValue
from headrace.store.columns import instant, json


class SeenActivityRow(SQLModel, table=True):
    """An activity as the worker declared it that started last. declaration: `Declaration.as_json`."""

    __tablename__ = "activities_seen"

    project: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    name: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    declaration: JsonValue = Field(sa_column=json(required=True))
    seen_at: datetime = Field(sa_column=instant(default="now()"))


class WorkerActivitiesRow(SQLModel, table=True):
    """Which activities a worker process can run, and what of its modules could not be loaded."""

    __tablename__ = "worker_activities"

    worker_id: UUID = Field(
        sa_column=Column(
            ForeignKey("workflow_workers.id", ondelete="CASCADE"), primary_key=True, nullable=False
        )
    )
    names: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    problems: JsonValue = Field(sa_column=json(required=True))


class HeartbeatRow(SQLModel, table=True):
    """The last heartbeat of a task's node, as long as its task has this token."""

    __tablename__ = "task_heartbeats"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "position"],
            ["workflow_tasks.run_id", "workflow_tasks.position"],
            ondelete="CASCADE",
        ),
    )

    run_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    token: int = Field(sa_column=Column(BigInteger, nullable=False))
    progress: float | None = Field(sa_column=Column(Double))
    details: JsonValue = Field(sa_column=json())
    beat_at: datetime = Field(sa_column=instant(default="clock_timestamp()"))
