"""validate: holds data against rules, and says all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError, Problem
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.json_schema import problems, schema_problems

VALID, INVALID = "out-valid", "out-invalid"

JsType: TypeAlias = Literal["string", "number", "boolean", "object", "array"]


class DataRules(Config):
    """What the data must be; what is not set is not asked."""

    required: bool = Field(default=False, description="Whether there must be data: null is none.")
    type: JsType | None = Field(default=None, description="The JSON type.")
    min_length: int | None = Field(default=None, description="The fewest characters or items.")
    max_length: int | None = Field(default=None, description="The most characters or items.")
    pattern: str | None = Field(
        default=None, description="A regular expression that is to be found in a text."
    )


class ValidateConfig(Config):
    """What is checked, and by what."""

    data: AnyJson = Field(
        default=None,
        description="What is checked, as `${ data.name }`; without it, the node's input.",
    )
    rules: DataRules = Field(default=DataRules(), description="Rules for the data as a whole.")
    data_schema: AnyJson = Field(default=None, description="A JSON Schema that the data must keep besides.")
    fail_on_invalid: bool = Field(
        default=False, description="Whether the node fails on invalid data, instead of going that way."
    )


class Validate(NodeType[ValidateConfig]):
    """Its output is {valid, errors}; it goes one of two ways."""

    type = "validate"
    aliases = ("validateData",)
    group = "Input & Data"
    description = "Checks data by rules or a JSON Schema and goes one of two ways, or fails."
    branching = True
    is_instant = True
    config_model = ValidateConfig

    def branches(self, config: ValidateConfig) -> tuple[str, ...]:  # noqa: ARG002
        return VALID, INVALID

    def check(self, config: ValidateConfig) -> Iterable[Problem]:
        rules = config.rules
        if rules.pattern is not None and schema_problems({"pattern": rules.pattern}):
            yield Problem("rules.pattern", "this is no regular expression")
        least, most = rules.min_length, rules.max_length
        if least is not None and most is not None and least > most:
            yield Problem("rules.minLength", "is more than maxLength")
        yield from schema_problems(config.data_schema, "dataSchema")

    async def start(self, context: NodeContext, config: ValidateConfig) -> Outcome:
        try:
            data = context.input if config.data is None else fill(context, config.data)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        errors: list[JsonValue] = [*rule_errors(config.rules, data)]
        if config.data_schema is not None:
            errors += [_in_words(one) for one in problems(config.data_schema, data)]
        text = "; ".join(map(str, errors))
        context.say("validate", f"Data is invalid: {text}" if errors else "Data is valid")
        if errors and config.fail_on_invalid:
            return Failed(text, "InvalidData", retryable=False, details=errors)
        return Done({"valid": not errors, "errors": errors}, frozenset({INVALID if errors else VALID}))


def rule_errors(rules: DataRules, data: JsonValue) -> Iterator[str]:
    """What of the data breaks the rules, in the words that other systems' users know."""
    if data is None:
        if rules.required:
            yield "Data is required but not provided"
        return
    if rules.type is not None and rules.type != (given := _type(data)):
        yield f"Expected type {rules.type} but got {given}"
    if isinstance(data, str | list):
        yield from _length_errors(rules, len(data))
    if rules.pattern is not None and isinstance(data, str) and problems({"pattern": rules.pattern}, data):
        yield f"Data does not match pattern: {rules.pattern}"


def _length_errors(rules: DataRules, length: int) -> Iterator[str]:
    if rules.min_length is not None and length < rules.min_length:
        yield f"Length {length} is less than minimum {rules.min_length}"
    if rules.max_length is not None and length > rules.max_length:
        yield f"Length {length} exceeds maximum {rules.max_length}"


def _type(data: JsonValue) -> str:
    match data:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


def _in_words(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message
