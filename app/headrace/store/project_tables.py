"""The tables of what projects have beside their workflows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, LargeBinary, Text
from sqlmodel import Field, SQLModel

from headrace.store.columns import instant


class SecretRow(SQLModel, table=True):
    """A secret of a project. sealed: with HEADRACE_SECRET_KEY, which is not in the database."""

    __tablename__ = "secrets"

    project: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    name: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at: datetime = Field(sa_column=instant(default="clock_timestamp()"))
