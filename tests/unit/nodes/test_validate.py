from __future__ import annotations

import time

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.validate import DataRules, Validate, ValidateConfig, rule_errors

from .conftest import context, lines

pytestmark = pytest.mark.anyio


def validate(**config: JsonValue) -> ValidateConfig:
    return ValidateConfig.model_validate(config)


@pytest.mark.parametrize(
    ("rules", "data", "errors"),
    [
        ({"required": True}, None, ["Data is required but not provided"]),
        ({"required": True}, "", []),
        ({"required": True}, 0, []),
        ({"required": True}, False, []),
        ({"type": "string", "minLength": 1, "pattern": "x"}, None, []),
        ({"type": "string"}, 5, ["Expected type string but got number"]),
        ({"type": "number"}, "5", ["Expected type number but got string"]),
        ({"type": "number"}, True, ["Expected type number but got boolean"]),
        ({"type": "boolean"}, {}, ["Expected type boolean but got object"]),
        ({"type": "object"}, [], ["Expected type object but got array"]),
        ({"type": "array"}, {}, ["Expected type array but got object"]),
        ({"type": "number"}, 5.5, []),
        ({"type": "array"}, [], []),
        ({"minLength": 3}, "ab", ["Length 2 is less than minimum 3"]),
        ({"maxLength": 3}, "abcd", ["Length 4 exceeds maximum 3"]),
        ({"minLength": 1}, [], ["Length 0 is less than minimum 1"]),
        ({"maxLength": 1}, [1, 2], ["Length 2 exceeds maximum 1"]),
        ({"minLength": 9, "maxLength": 0}, {"a": 1}, []),
        ({"minLength": 2, "maxLength": 2}, "ab", []),
        ({"pattern": "^a+$"}, "ab", ["Data does not match pattern: ^a+$"]),
        ({"pattern": "a"}, "bab", []),
        ({"pattern": "a"}, 5, []),
        (
            {"type": "array", "minLength": 3, "pattern": "^a"},
            "b",
            [
                "Expected type array but got string",
                "Length 1 is less than minimum 3",
                "Data does not match pattern: ^a",
            ],
        ),
    ],
)
def test_the_rules_and_their_words(rules: JsonObject, data: JsonValue, errors: list[str]) -> None:
    assert list(rule_errors(DataRules.model_validate(rules), data)) == errors


async def test_valid_data_goes_one_way_and_invalid_the_other() -> None:
    config = validate(data="${mail}", rules={"type": "string", "pattern": "@"})
    good, bad = context({"mail": "ada@example.com"}), context({"mail": "ada"})

    assert await Validate().start(good, config) == Done(
        {"valid": True, "errors": []}, frozenset({"out-valid"})
    )
    assert await Validate().start(bad, config) == Done(
        {"valid": False, "errors": ["Data does not match pattern: @"]}, frozenset({"out-invalid"})
    )
    assert lines(good) == [("validate", "Data is valid")]
    assert lines(bad) == [("validate", "Data is invalid: Data does not match pattern: @")]
    assert Validate().branches(config) == ("out-valid", "out-invalid")


async def test_without_data_the_input_is_checked() -> None:
    outcome = await Validate().start(context([1]), validate(rules={"type": "object"}))

    assert outcome == Done(
        {"valid": False, "errors": ["Expected type object but got array"]}, frozenset({"out-invalid"})
    )


async def test_a_schema_is_checked_besides() -> None:
    schema: JsonObject = {"required": ["name"], "properties": {"age": {"type": "number"}}}
    config = validate(rules={"type": "array"}, dataSchema=schema)

    outcome = await Validate().start(context({"age": "x"}), config)

    assert isinstance(outcome, Done)
    assert isinstance(outcome.output, dict)
    errors = outcome.output["errors"]
    assert isinstance(errors, list)
    assert errors[0] == "Expected type array but got object"
    assert set(map(str, errors[1:])) == {"name: is a required property", "age: must be of type number"}


async def test_it_can_fail_instead() -> None:
    config = validate(rules={"minLength": 3, "pattern": "^b"}, failOnInvalid=True)
    errors: list[JsonValue] = ["Length 1 is less than minimum 3", "Data does not match pattern: ^b"]

    assert await Validate().start(context("a"), config) == Failed(
        "Length 1 is less than minimum 3; Data does not match pattern: ^b",
        kind="InvalidData",
        retryable=False,
        details=errors,
    )
    assert isinstance(await Validate().start(context("bcd"), config), Done)


async def test_missing_data_fails_unless_it_is_optional() -> None:
    rules: JsonObject = {"required": True}

    assert await Validate().start(context({}), validate(data="${gone}", rules=rules)) == Failed(
        "'gone' does not exist.", kind="MissingReference", retryable=False
    )
    assert await Validate().start(context({}), validate(data="${gone?}", rules=rules)) == Done(
        {"valid": False, "errors": ["Data is required but not provided"]}, frozenset({"out-invalid"})
    )


async def test_no_pattern_runs_away() -> None:
    begun = time.monotonic()

    outcome = await Validate().start(context("a" * 50_000 + "!"), validate(rules={"pattern": "^(a+)+$"}))

    assert isinstance(outcome, Done)
    assert outcome.branches == {"out-invalid"}
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({"rules": {"pattern": "("}}, ["rules.pattern"]),
        ({"rules": {"minLength": 3, "maxLength": 2}}, ["rules.minLength"]),
        ({"dataSchema": {"type": "strin"}}, ["dataSchema.type"]),
        ({"rules": {"pattern": "a", "minLength": 2, "maxLength": 2}, "dataSchema": {}}, []),
    ],
)
def test_what_is_wrong_with_a_config(config: JsonObject, paths: list[str]) -> None:
    assert [one.path for one in Validate().check(validate(**config))] == paths
