"""Which events a handler waits for."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.event import holds_for, matches
from headrace.graph.json_types import JsonObject, JsonValue

EVENT: JsonObject = {"name": "order.paid", "id": None, "data": {"total": 12}}


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("order.paid", "order.paid", True),
        ("order.paid", "order.paid2", False),
        ("order.*", "order.", True),
        ("order.*", "orders.paid", False),
        ("*.paid", "order.paid", True),
        ("*", "", True),
        ("a*a", "a", False),
        ("o*r*p*d", "order.paid", True),
        ("order.p?id", "order.paid", False),
        ("[o]rder.paid", "order.paid", False),
    ],
)
def test_names(pattern: str, name: str, does: bool) -> None:
    assert matches(pattern, name) is does


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_as_a_regular_expression_would(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, name) == (re.fullmatch(expression, name) is not None)


def test_no_pattern_takes_long() -> None:
    """A regular expression would try this in 10^26 ways."""
    began = time.perf_counter()
    assert not matches("a*" * 50 + "b", "a" * 200)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("condition", "does"),
    [
        (None, True),
        ({">": [{"var": "data.total"}, 10]}, True),
        ({">": [{"var": "data.total"}, 20]}, False),
        ({"==": [{"var": "name"}, "order.paid"]}, True),
        ({"no such operator": [1]}, False),
        (False, False),
    ],
)
def test_conditions(condition: JsonValue, does: bool) -> None:
    assert holds_for(condition, EVENT) is does
