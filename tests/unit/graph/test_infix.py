"""Expressions of other languages as json-logic."""

from __future__ import annotations

import pytest

from headrace.errors import BadExpression
from headrace.graph.expressions import evaluate
from headrace.graph.imports.infix import as_rule, split_function
from headrace.graph.json_types import JsonValue


def names(path: str) -> JsonValue:
    return {"var": path}


DATA: JsonValue = {"a": 5, "b": 2, "s": "paid", "t": True, "list": [1, 5], "o": {"x": [{"y": 7}]}}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${a} > 3", True),
        ("a > 3 && b > 3", False),
        ("a > 3 and not b > 3", True),
        ("not not a > 3", True),
        ("!t == false", True),
        ("!t || s == 'paid'", True),
        ("'${s}' === \"paid\"", True),
        ("'order ${s}: ${b}' == 'order paid: 2'", True),
        ("'${o.x[0].y}${nothing}' == '7'", True),
        ("'${not a path}' == 'x'", False),
        ("'' == ''", True),
        ("s != 'open'; ", True),
        ("s !== 'paid'", False),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("-a + 7 % 4", -2),
        ("a / b", 2.5),
        ("a in list", True),
        ("o.x[0].y >= 7", True),
        ("${o.x[0].y} <= 6.5", False),
        ("nothing == null", True),
        ("nothing == None or False", True),
        ("'pa' in s", True),
        ("true", True),
        ("'and'", "and"),
    ],
)
def test_it_means_the_same(text: str, result: JsonValue) -> None:
    assert evaluate(as_rule(text, names), DATA) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "something is missing at its end"),
        ("a >", "something is missing at its end"),
        ("a ? 1 : 2", "'? 1 : 2' cannot be read"),
        ("a = 1", "'= 1' cannot be read"),
        ("1x", "'1x' cannot be read"),
        ("a b", "'b' is not expected there"),
        ("* a", "'*' is not expected there"),
        ("(a", "a bracket is not closed"),
        ("a)", "')' is not expected there"),
        ("len(a) > 1", "'len(...)' calls a function"),
        ("__import__('os')", "'__import__(...)' calls a function"),
        ("1 < a < 9", "'<' is not expected there"),
        ("'a' + s", "it adds to a text"),
        ("s + 'a'", "it adds to a text"),
        ("'${a} of' + b", "it adds to a text"),
        ("not " * 60 + "a", "it is nested too deeply"),
        ("'a\\'b'", "''a\\'b'' cannot be read"),
        ("(" * 60 + "1" + ")" * 60, "it is nested too deeply"),
        ("!" * 1000 + "a", "it is nested too deeply"),
    ],
)
def test_what_has_no_counterpart_is_said(text: str, message: str) -> None:
    with pytest.raises(BadExpression) as refused:
        as_rule(text, names)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x => x * 2", (["x"], "x * 2")),
        ("(sum, x) => sum + x", (["sum", "x"], "sum + x")),
        ("lambda a, b: a + b", (["a", "b"], "a + b")),
        ("item.price > 3", ([], "item.price > 3")),
    ],
)
def test_functions_are_taken_apart(text: str, parts: tuple[list[str], str]) -> None:
    assert split_function(text) == parts
