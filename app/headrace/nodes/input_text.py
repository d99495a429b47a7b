"""inputText: what a run is given, with defaults, coercions and rules applied."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.expressions import rule_of, violation
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.graph.template import MAX_DEPTH
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.json_text import stringify, too_deep
from headrace.nodes.predicates import rule_problems

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EXACT = 2**53  # beyond it a JavaScript number no longer holds every integer


class InputField(Config):
    """One field of the form that starts a run."""

    id: str = Field(default="", description="Names the field in the editor.")
    key: str = Field(default="", description="The key in the run's input.")
    label: str = Field(default="", description="What people see.")
    input_kind: Literal["text", "number", "date"] = Field(default="text", description="What is asked for.")
    placeholder: str = Field(default="", description="Shown in the empty field.")
    default_value: AnyJson = Field(
        default=None, description="Used when the input has no such key, null or ''."
    )
    validation_logic: AnyJson = Field(default=None, description="A json-logic rule over `value`.")
    validation_config: AnyJson = Field(
        default=None, description="The rule builder's own form; used when there is no validationLogic."
    )

    @property
    def rule(self) -> JsonValue:
        return rule_of(self.validation_logic, self.validation_config)


class InputTextConfig(Config):
    """The fields of the form."""

    fields: tuple[InputField, ...] = Field(
        default=(), description="The fields; other keys of the input are kept."
    )


class InputText(NodeType[InputTextConfig]):
    """Checks its input against its fields and passes it on, completed by the fields' defaults."""

    type = "inputText"
    group = "Input & Data"
    description = "Starts a run with a form: named values with defaults and rules."
    is_instant = True
    config_model = InputTextConfig

    def check(self, config: InputTextConfig) -> Iterable[Problem]:
        for index, field in enumerate(config.fields):
            path = f"fields[{index}]"
            try:
                _coerced(field, field.default_value)
            except _Unfit as error:
                yield Problem(f"{path}.defaultValue", str(error))
            yield from rule_problems(field.rule, f"{path}.validationLogic")

    def check_start(self, config: InputTextConfig, run_input: JsonValue) -> Iterable[Problem]:
        return fill_in(config, run_input)[1]

    async def start(self, context: NodeContext, config: InputTextConfig) -> Outcome:
        output, problems = fill_in(config, context.input)
        if problems:
            message = "; ".join(f"{one.path}: {one.message}" for one in problems)
            details: list[JsonValue] = [dict(one.as_dict()) for one in problems]
            return Failed(message, kind="InvalidInput", retryable=False, details=details)
        context.say("input", f"Input: {stringify(output)}")
        return Done(output)


def fill_in(config: InputTextConfig, value: JsonValue) -> tuple[JsonObject, list[Problem]]:
    """The input with defaults and coercions applied, and everything that is wrong with it."""
    if value is not None and not isinstance(value, dict):
        return {}, [Problem("input", "the input must be a JSON object", 'as {"city": "Dubai"}')]
    if too_deep(value):
        return {}, [Problem("input", f"the input is nested more than {MAX_DEPTH} levels deep")]
    output: JsonObject = dict(value or {})
    problems = []
    for field in config.fields:
        if field.key and (problem := _fill_field(field, output)):
            problems.append(problem)
    return output, problems


class _Unfit(ValueError):
    """A value cannot be made into its field's kind."""


def _fill_field(field: InputField, output: JsonObject) -> Problem | None:
    path = f"input.{field.key}"
    given = output.get(field.key)
    try:
        fitting = _coerced(field, field.default_value if given in (None, "") else given)
    except _Unfit as error:
        return Problem(path, str(error))
    if fitting not in (None, ""):
        output[field.key] = fitting
    broken = None if field.rule is None else violation(field.rule, fitting)
    return Problem(path, broken) if broken else None


def _coerced(field: InputField, value: JsonValue) -> JsonValue:
    if value in (None, ""):
        return value
    match field.input_kind:
        case "number":
            return _number(value)
        case "date":
            return _date(value)
        case "text":
            return _text(value)


def _number(value: JsonValue) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Unfit("must be a number")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text) or not math.isfinite(number := float(text)):
        raise _Unfit("must be a number")
    if isinstance(value, int):
        return value
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


def _date(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise _Unfit("must be a date, as 2026-01-31")
    try:
        datetime.fromisoformat(value.strip())
    except ValueError:
        raise _Unfit("must be a date, as 2026-01-31") from None
    return value.strip()


def _text(value: JsonValue) -> str:
    if isinstance(value, dict | list):
        raise _Unfit("must be text")
    return value if isinstance(value, str) else stringify(value)
