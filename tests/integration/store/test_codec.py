"""What a value looks like when it has been in a jsonb column."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.graph.json_types import JsonValue
from headrace.store.codec import as_stored, dump, load
from headrace.store.db import Database
from support.rows import sql

pytestmark = pytest.mark.anyio

EDGES: list[JsonValue] = [
    1e16,
    9999999999999998.0,
    1e23,
    -1e300,
    5e-324,
    1.5e-07,
    -0.0,
    1.0,
    10**40,
    {"bb": 1, "a": 2, "ä": 3, "B": 4, "": 5, "zzz": {"y": [], "x": -0.0}},
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


async def stored(db: Database, values: list[JsonValue]) -> list[JsonValue]:
    rows = await sql(
        db,
        "SELECT v::jsonb AS value FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n",
        [dump(value) for value in values],
    )
    return [load(row.value) for row in rows]


def exact(value: JsonValue) -> str:
    """Tells 1 from 1.0, 0.0 from -0.0 and one order of keys from another."""
    return json.dumps(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, max_size=40))
async def test_a_value_is_as_the_database_gives_it_back(db: Database, values: list[JsonValue]) -> None:
    assert [exact(one) for one in map(as_stored, values)] == [exact(one) for one in await stored(db, values)]


async def test_at_the_edges_of_numbers_and_keys(db: Database) -> None:
    assert [exact(one) for one in map(as_stored, EDGES)] == [exact(one) for one in await stored(db, EDGES)]
    assert math.copysign(1, float(str(as_stored(-0.0)))) == 1
