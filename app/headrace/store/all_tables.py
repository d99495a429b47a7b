"""Every table of Headrace, whichever module describes it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from sqlalchemy import Table
from sqlmodel import SQLModel

from headrace.store import (
    activity_tables,
    control_tables,
    project_tables,
    statistics_tables,
    stored_activity_tables,
    tables,
    trigger_tables,
)


def _names(module: ModuleType) -> Iterator[str]:
    for row in vars(module).values():
        if isinstance(row, type) and issubclass(row, SQLModel) and row.__module__ == module.__name__:
            yield str(row.__tablename__)


MODULES = (
    tables,
    control_tables,
    trigger_tables,
    activity_tables,
    stored_activity_tables,
    statistics_tables,
    project_tables,
)
"""Those that describe tables."""

_OURS = {name for module in MODULES for name in _names(module)}

# The metadata may also hold tables of a program that uses Headrace.
ALL_TABLES: tuple[Table, ...] = tuple(one for one in SQLModel.metadata.sorted_tables if one.name in _OURS)
"""Those that others refer to come first."""
