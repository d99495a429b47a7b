"""What an operation makes of a variable."""

from __future__ import annotations

from typing import Literal, TypeAlias

from headrace.errors import InvalidInput
from headrace.graph.json_types import JsonValue

Operation: TypeAlias = Literal["set", "append", "increment", "decrement"]


def changed(old: JsonValue, operation: Operation, value: JsonValue) -> JsonValue:
    """The variable's next value. old: None when it was never set. Raises InvalidInput.

    append adds to a list (of nothing: to an empty one), or text to text; the others count from 0.
    """
    match operation:
        case "set":
            return value
        case "append":
            return _appended(old, value)
        case "increment":
            return _number(old, "the variable") + _number(1 if value is None else value, "the amount")
        case "decrement":
            return _number(old, "the variable") - _number(1 if value is None else value, "the amount")


def _appended(old: JsonValue, value: JsonValue) -> JsonValue:
    if isinstance(old, str) and isinstance(value, str):
        return old + value
    if old is not None and not isinstance(old, list):
        raise InvalidInput("Only to a list, or text to text, can be appended")
    return [*(old or []), value]


def _number(value: JsonValue, what: str) -> float:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInput(f"{what} is not a number")
    return value
