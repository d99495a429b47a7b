from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.json_schema import MAX_PROBLEMS, problems, schema_problems

PERSON: JsonObject = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "mail": {"type": "string", "format": "email"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "a.b": {"type": "boolean"},
    },
}
LOOKS_AHEAD = r"^(?=.*\d)(?=.*[a-z]).{8,}$"


def found(schema: JsonValue, value: JsonValue, path: str = "") -> list[tuple[str, str]]:
    return [(one.path, one.message) for one in problems(schema, value, path)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "Ada", "age": 36, "mail": "ada@example.com", "tags": [], "more": 1}, []),
        ({"name": "Ada", "age": 36.0}, []),
        ({}, [("name", "is a required property")]),
        ("Ada", [("", "must be of type object")]),
        ({"name": "Ada", "age": "36"}, [("age", "must be of type integer or null")]),
        ({"name": "Ada", "age": -1}, [("age", "the value is less than the minimum of 0")]),
        ({"name": "A"}, [("name", "the value is shorter than 2 characters")]),
        ({"name": "Ada", "mail": "ada"}, [("mail", 'the value is not a "email"')]),
        ({"name": "Ada", "tags": ["x", 1]}, [("tags[1]", "must be of type string")]),
        ({"name": "Ada", "a.b": 1}, [('["a.b"]', "must be of type boolean")]),
    ],
)
def test_what_is_wrong_and_where(value: JsonValue, expected: list[tuple[str, str]]) -> None:
    assert found(PERSON, value) == expected


def test_paths_go_on_from_where_the_value_stands() -> None:
    assert {path for path, _ in found(PERSON, {"tags": [1]}, "input")} == {"input.tags[0]", "input.name"}
    assert found({"items": {"type": "string"}}, [1], "rows") == [("rows[0]", "must be of type string")]
    assert found(False, 1, "input")[0][0] == "input"


def test_no_more_problems_than_one_reads() -> None:
    assert len(problems({"items": {"type": "string"}}, list(range(1_000)))) == MAX_PROBLEMS


def test_a_reference_stays_within_the_schema() -> None:
    schema: JsonObject = {
        "$id": "https://example.com/order",
        "$defs": {"a/b %": {"type": "string"}, "both": {"$ref": "#/$defs/a~1b%20%25"}},
        "items": {"$ref": "#/$defs/both"},
    }

    assert schema_problems(schema) == []
    assert found(schema, ["x", 1]) == [("[1]", "must be of type string")]
    assert schema_problems({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}) == []


def twice(length: int) -> JsonObject:
    """Definitions of which each names the next one twice: 2 ** length checks, were it compiled."""
    named: JsonObject = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": named | {f"d{length}": {"type": "string"}}}


def row(length: int) -> JsonObject:
    """Definitions of which each names the next one."""
    named: JsonObject = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": named | {f"d{length}": {"type": "string"}}}


def nested(depth: int) -> JsonObject:
    schema: JsonObject = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("text", "a schema is an object"),
        ([], "a schema is an object"),
        (5, "a schema is an object"),
        ({"type": "strin"}, "this is no JSON Schema"),
        ({"pattern": "("}, "this is no JSON Schema"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "this is no JSON Schema"),
        ({"$schema": "https://example.com/mine"}, "Unknown meta-schema"),
        ({"$ref": "https://example.com/other"}, "leads out of the schema"),
        ({"$ref": "file:///etc/passwd"}, "leads out of the schema"),
        ({"$ref": "#/$defs/gone"}, "there is no '#/$defs/gone'"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"items": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "leads back to itself"),
        ({"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]}, "'$dynamicAnchor' is not supported"),
        ({"allOf": [{"$id": "https://example.com/x", "$ref": "#"}]}, "'$id' is not supported"),
        (twice(30), "has more than 10000 parts"),
        (row(200), "levels deep"),
        (nested(150), "levels deep"),
        (nested(5_000), "nested too deep"),
    ],
)
def test_schemas_that_are_refused(schema: JsonValue, message: str) -> None:
    begun = time.monotonic()
    (problem,) = schema_problems(schema, "inputSchema")

    assert message in problem.message
    assert problem.path.startswith("inputSchema")
    assert message.removeprefix("this is ") in problems(schema, {})[0].message
    assert time.monotonic() - begun < 5


def test_a_schema_s_problem_says_where() -> None:
    (problem,) = schema_problems({"properties": {"a": {"minimum": "x"}}}, "form")

    assert problem.path == "form.properties.a.minimum"


@pytest.mark.parametrize("schema", [None, True, False, {}, twice(5), row(40), PERSON])
def test_schemas_that_are_taken(schema: JsonValue) -> None:
    assert schema_problems(schema) == []


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=(a+)+$)x", r"(?:(?=a).)*?b|(a*)*\1c"])
def test_no_pattern_runs_away(pattern: str) -> None:
    begun = time.monotonic()

    assert len(problems({"pattern": pattern}, "a" * 50_000 + "!")) == 1
    assert time.monotonic() - begun < 5


def test_patterns_look_ahead_and_know_letters() -> None:
    assert problems({"pattern": LOOKS_AHEAD}, "abc12345") == []
    assert len(problems({"pattern": LOOKS_AHEAD}, "abcdefgh")) == 1
    assert problems({"pattern": r"^\p{L}+$"}, "äöü") == []


def test_older_drafts_are_read_by_their_own_rules() -> None:
    rows: JsonValue = [{"type": "string"}]
    draft_7: JsonObject = {"$schema": "http://json-schema.org/draft-07/schema#", "items": rows}

    assert found(draft_7, [1]) == [("[0]", "must be of type string")]
    assert len(schema_problems({"items": rows})) == 1


def test_what_cannot_be_checked_is_a_problem() -> None:
    deep: JsonValue = []
    for _ in range(5_000):
        deep = [deep]

    assert found({}, deep) == [("", "is nested too deep")]
    assert "cannot be checked" in problems({"type": "string"}, "\ud800")[0].message


JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "items", "$ref", "properties", "pattern", "$id", "anyOf", "a"]), inner
        )
    ),
    max_leaves=10,
)


@given(schema=JSON, value=JSON)
def test_it_answers_whatever_the_schema(schema: JsonValue, value: JsonValue) -> None:
    if schema is not None and schema_problems(schema):
        assert problems(schema, value)
    else:
        assert isinstance(problems(schema if schema is not None else {}, value), list)
