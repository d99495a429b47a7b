"""What the table classes share: constraint names and kinds of columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, DateTime, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from headrace.graph.json_types import JsonValue

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
SQLModel.metadata.naming_convention = NAMING


def one_of(column: str, values: Iterable[str]) -> str:
    listed = ", ".join(f"'{value}'" for value in sorted(values))
    return f"{column} IN ({listed})"


def instant(*, required: bool = True, default: str | None = None) -> Column[datetime]:
    server_default = text(default) if default else None
    return Column(DateTime(timezone=True), nullable=not required, server_default=server_default)


def json(*, required: bool = False) -> Column[JsonValue]:
    return Column(JSONB(none_as_null=True), nullable=not required)


def count(default: int = 0) -> Column[int]:
    return Column(Integer, nullable=False, server_default=str(default))
