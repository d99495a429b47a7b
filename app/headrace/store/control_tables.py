"""The tables of waits, children, variables, limits and the cache, beside those of runs and tasks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

from headrace.graph.json_types import JsonValue
from headrace.store.columns import count, instant, json, one_of


def _run() -> Column[UUID]:
    return Column(ForeignKey("workflow_runs.id", ondelete="CASCADE"), primary_key=True, nullable=False)


def _of_task() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["run_id", "position"],
        ["workflow_tasks.run_id", "workflow_tasks.position"],
        ondelete="CASCADE",
    )


class SignalRow(SQLModel, table=True):
    """A signal that a run was sent; it waits here until a task takes it.

    id: the sender's, so that it counts once. node_id: of the one node that it is for. position: of the task
    that took it. refused: why the task that waited for it did not take it.
    """

    __tablename__ = "workflow_signals"
    __table_args__ = (
        Index(
            "workflow_signals_untaken_idx",
            "run_id",
            "name",
            "sent_at",
            postgresql_where=text("position IS NULL AND refused IS NULL"),
        ),
    )

    run_id: UUID = Field(sa_column=_run())
    id: str = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    payload: JsonValue = Field(sa_column=json())
    sent_at: datetime = Field(sa_column=instant(default="clock_timestamp()"))
    node_id: str | None = Field(sa_column=Column(Text))
    position: int | None
    refused: str | None = Field(sa_column=Column(Text))


class SigningKeyRow(SQLModel, table=True):
    """A key that this installation made for itself, for signatures that only it checks."""

    __tablename__ = "signing_keys"

    name: str = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ChildrenRow(SQLModel, table=True):
    """The present batch of a task's children, counted.

    first_index: of the batch. total: all of it. started, ended, failed: of them; cancelled ones count as
    failed. at_once: how many may run together. tolerated: how many may fail. abandons: a cancel of the task
    leaves them alone. The row goes when the task no longer wants them and all of them were told.
    """

    __tablename__ = "task_children"
    __table_args__ = (_of_task(), CheckConstraint("ended <= started", name="ended"))

    run_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    first_index: int = Field(sa_column=count())
    total: int
    started: int = Field(sa_column=count())
    ended: int = Field(sa_column=count())
    failed: int = Field(sa_column=count())
    at_once: int
    tolerated: int
    abandons: bool


class TreeRow(SQLModel, table=True):
    """How many tasks were made for the descendants of a run that nobody started on behalf of another."""

    __tablename__ = "run_trees"

    root_id: UUID = Field(
        sa_column=Column(ForeignKey("workflow_runs.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    tasks: int = Field(sa_column=count())


class VariableRow(SQLModel, table=True):
    """A variable. owner: the id of its run, its workflow or its project."""

    __tablename__ = "workflow_variables"
    __table_args__ = (CheckConstraint(one_of("scope", ("run", "workflow", "project")), name="scope"),)

    scope: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: JsonValue = Field(sa_column=json())
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class VariableWriteRow(SQLModel, table=True):
    """What a task made of a variable: a second attempt of it changes nothing and gets the same answer."""

    __tablename__ = "variable_writes"
    __table_args__ = (_of_task(),)

    run_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    value: JsonValue = Field(sa_column=json())


class SlotRow(SQLModel, table=True):
    """An execution that counts against a concurrency key, as long as its task has this token."""

    __tablename__ = "concurrency_slots"
    __table_args__ = (_of_task(), Index(None, "run_id", "position"))

    key: str = Field(primary_key=True)
    run_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    token: int = Field(sa_column=Column(BigInteger, nullable=False))
    taken_at: datetime = Field(sa_column=instant(default="clock_timestamp()"))


class RateRow(SQLModel, table=True):
    """A rate limit's state. free_at: when the key's allowance is whole again (GCRA's arrival time)."""

    __tablename__ = "rate_limits"

    key: str = Field(primary_key=True)
    free_at: datetime = Field(sa_column=instant())


class CachedStepRow(SQLModel, table=True):
    """A node's result that may be used again. key: SHA-256 of the node and its input."""

    __tablename__ = "step_cache"
    __table_args__ = (Index(None, "expires_at"),)

    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    output: JsonValue = Field(sa_column=json())
    branches: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    run_id: UUID
    expires_at: datetime = Field(sa_column=instant())
