from __future__ import annotations

import pytest

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.input_text import InputText, InputTextConfig, fill_in
from headrace.nodes.json_text import stringify

from .conftest import context, lines

pytestmark = pytest.mark.anyio
ADULT: JsonValue = {"if": [{">=": [{"var": "value"}, 18]}, True, "must be 18 or more"]}


def config(*fields: JsonObject) -> InputTextConfig:
    return InputTextConfig.model_validate({"fields": list(fields)})


CITY = config({"id": "f1", "key": "city", "label": "City", "inputKind": "text", "defaultValue": "Dubai"})


@pytest.mark.parametrize("given", [{}, {"city": ""}, {"city": None}])
async def test_what_is_missing_gets_the_default(given: JsonValue) -> None:
    one = context(given)

    assert await InputText().start(one, CITY) == Done({"city": "Dubai"})
    assert lines(one) == [("input", 'Input: {"city":"Dubai"}')]


async def test_no_input_at_all_is_an_empty_one() -> None:
    assert await InputText().start(context(None), CITY) == Done({"city": "Dubai"})
    assert list(InputText().check_start(CITY, None)) == []


async def test_keys_that_are_no_fields_are_kept() -> None:
    outcome = await InputText().start(context({"extra": {"a": [1]}, "city": "Zürich"}), CITY)

    assert outcome == Done({"extra": {"a": [1]}, "city": "Zürich"})


async def test_what_is_missing_without_a_default_stays_as_it_was() -> None:
    bare = config({"key": "a"}, {"key": "b"}, {"key": "c"})

    assert await InputText().start(context({"a": "", "b": None}), bare) == Done({"a": "", "b": None})


async def test_the_input_itself_is_not_changed() -> None:
    given: JsonObject = {"city": ""}

    fill_in(CITY, given)

    assert given == {"city": ""}


@pytest.mark.parametrize(
    ("kind", "given", "becomes"),
    [
        ("number", "30", 30),
        ("number", " 30 ", 30),
        ("number", "30.0", 30),
        ("number", "30.5", 30.5),
        ("number", "-1e2", -100),
        ("number", ".5", 0.5),
        ("number", 30, 30),
        ("number", 30.0, 30),
        ("number", 0, 0),
        ("number", "1e300", 1e300),
        ("text", "x", "x"),
        ("text", 1, "1"),
        ("text", 1.5, "1.5"),
        ("text", 2.0, "2"),
        ("text", True, "true"),
        ("text", False, "false"),
        ("date", "2026-01-31", "2026-01-31"),
        ("date", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        ("date", " 2026-01-31T10:00+02:00 ", "2026-01-31T10:00+02:00"),
    ],
)
def test_values_become_their_fields_kind(kind: str, given: JsonValue, becomes: JsonValue) -> None:
    output, problems = fill_in(config({"key": "x", "inputKind": kind}), {"x": given})

    assert problems == []
    assert output["x"] == becomes
    assert type(output["x"]) is type(becomes)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("number", "thirty"),
        ("number", "1_000"),
        ("number", "nan"),
        ("number", "1e400"),
        ("number", "٣"),
        ("number", True),
        ("number", [1]),
        ("number", {}),
        ("date", "31.01.2026"),
        ("date", "2026-02-30"),
        ("date", 20260131),
        ("text", {"a": 1}),
        ("text", ["a"]),
    ],
)
def test_what_cannot_become_it_is_a_problem_at_its_key(kind: str, given: JsonValue) -> None:
    problems = list(InputText().check_start(config({"key": "x", "inputKind": kind}), {"x": given}))

    assert [one.path for one in problems] == ["input.x"]
    assert problems[0].message.startswith("must be ")


def test_a_broken_rule_speaks_for_itself() -> None:
    form = config(
        {"key": "age", "inputKind": "number", "validationLogic": ADULT},
        {"key": "n", "validationConfig": {"kind": "number", "rules": [{"type": "lt", "value": 5}]}},
    )

    assert list(InputText().check_start(form, {"age": "30", "n": 1})) == []
    assert list(InputText().check_start(form, {"age": "17", "n": 1})) == [
        Problem("input.age", "must be 18 or more")
    ]
    assert [one.path for one in InputText().check_start(form, {"age": "x", "n": 9})] == [
        "input.age",
        "input.n",
    ]


def test_a_rule_sees_the_default() -> None:
    form = config({"key": "age", "inputKind": "number", "defaultValue": "18", "validationLogic": ADULT})

    assert fill_in(form, {}) == ({"age": 18}, [])


@pytest.mark.parametrize("given", [[], "text", 1, True])
def test_an_input_that_is_no_object_is_a_problem(given: JsonValue) -> None:
    assert [one.path for one in InputText().check_start(CITY, given)] == ["input"]


def test_an_input_that_nothing_can_follow_is_a_problem() -> None:
    deep: JsonValue = {}
    for _ in range(5000):
        deep = {"a": deep}

    assert [one.path for one in InputText().check_start(CITY, deep)] == ["input"]


async def test_away_from_the_start_the_node_fails() -> None:
    outcome = await InputText().start(context({"x": "y"}), config({"key": "x", "inputKind": "number"}))

    assert outcome == Failed(
        "input.x: must be a number",
        kind="InvalidInput",
        retryable=False,
        details=[{"path": "input.x", "message": "must be a number"}],
    )


def test_a_field_without_a_key_is_not_filled_in() -> None:
    assert fill_in(config({"key": "", "defaultValue": "x"}), {}) == ({}, [])


def test_a_bad_default_and_an_unknown_operator_are_problems_of_the_config() -> None:
    form = config(
        {"key": "ok", "defaultValue": "1", "inputKind": "number"},
        {"key": "n", "defaultValue": "x", "inputKind": "number", "validationLogic": {"nope": [1]}},
    )

    assert [one.path for one in InputText().check(form)] == [
        "fields[1].defaultValue",
        "fields[1].validationLogic",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1.0, "b": [1.5, None, True], "ü": "\n"}, '{"a":1,"b":[1.5,null,true],"ü":"\\n"}'),
        ({}, "{}"),
        (-0.0, "0"),
    ],
)
def test_json_is_written_as_javascript_does(value: JsonValue, text: str) -> None:
    assert stringify(value) == text
