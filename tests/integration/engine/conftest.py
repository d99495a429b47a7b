"""The engine of these tests knows one node type more: `script`."""

from __future__ import annotations

import pytest

from headrace.engine.program import Engine
from headrace.store.db import Database
from support.scripted import with_script


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types and `script`, on the test's database."""
    return Engine.over(db, with_script())
