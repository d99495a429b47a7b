"""The tables of activities whose source is kept in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKeyConstraint, Text, text
from sqlmodel import Field, SQLModel

from headrace.graph.json_types import JsonValue
from headrace.store.columns import instant, json, one_of

LANGUAGES = ("python", "javascript")


class StoredActivityRow(SQLModel, table=True):
    """An activity of a project. active: the hash of the version that new runs use; null for none yet."""

    __tablename__ = "stored_activities"

    project: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    name: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    active: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=instant(default="now()"))
    updated_at: datetime = Field(sa_column=instant(default="now()"))


class ActivityVersionRow(SQLModel, table=True):
    """One source of an activity; it never changes.

    hash: SHA-256 of language, entry and source, in hex. entry: the function that is called. exports: all that
    could be. input_schema: a JSON Schema of what the entry takes. activated_at: when it last became active.
    """

    __tablename__ = "activity_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "name"], ["stored_activities.project", "stored_activities.name"], ondelete="CASCADE"
        ),
        CheckConstraint(one_of("language", LANGUAGES), name="language"),
    )

    project: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    name: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    hash: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    source: str = Field(sa_column=Column(Text, nullable=False))
    entry: str = Field(sa_column=Column(Text, nullable=False))
    exports: JsonValue = Field(sa_column=json(required=True))
    input_schema: JsonValue = Field(sa_column=Column(JSON, nullable=False))  # JSONB forgets the order of keys
    created_by: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=instant(default="clock_timestamp()"))
    activated_at: datetime | None = Field(sa_column=instant(required=False))


class ProjectSettingsRow(SQLModel, table=True):
    """What an administrator has decided for a project.

    activities_trusted: its stored activities run in a process of their own, but without a sandbox.
    """

    __tablename__ = "project_settings"

    project: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    activities_trusted: bool = Field(sa_column_kwargs={"server_default": text("false")})
    updated_at: datetime = Field(sa_column=instant(default="now()"))
