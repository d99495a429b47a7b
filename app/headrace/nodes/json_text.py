"""JSON as text: read with what PostgreSQL cannot store taken out, written as JavaScript writes it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Never

from headrace.graph.json_types import JsonValue
from headrace.graph.template import MAX_DEPTH

_UNSTORABLE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class NestedTooDeep(ValueError):
    """A JSON text that templates and the log could not follow."""

    def __init__(self) -> None:
        super().__init__("nested too deep")


def read_json(text: str) -> JsonValue:
    """The value that a JSON text stands for, without what cannot be stored: NUL and lone surrogates.

    Raises ValueError if it is no JSON (NaN and numbers that are too large are none), and NestedTooDeep.
    """
    try:
        data: JsonValue = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise NestedTooDeep from None
    if too_deep(data):
        raise NestedTooDeep
    return _storable(data) if _ESCAPED.search(text) or _UNSTORABLE.search(text) else data


def stringify(value: JsonValue, indent: int | None = None) -> str:
    """JSON as JavaScript's JSON.stringify writes it. indent: blanks a level; None: all in one line."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(_as_js(value), ensure_ascii=False, separators=separators, indent=indent)


def too_deep(value: JsonValue) -> bool:
    """Whether a value is nested deeper than templates and the log can follow it."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for one in level for inner in _inner(one)]
    return bool(level)


def storable_text(text: str) -> str:
    """The text as PostgreSQL can hold it: without NUL, a replacement character for each lone surrogate."""
    return _UNSTORABLE.sub("\ufffd", text.replace("\x00", ""))


def _inner(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _storable(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return storable_text(value)
        case list():
            return [_storable(one) for one in value]
        case dict():
            return {storable_text(key): _storable(one) for key, one in value.items()}
        case _:
            return value


def _as_js(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: _as_js(one) for key, one in value.items()}
        case list():
            return [_as_js(one) for one in value]
        case float() if value.is_integer() and abs(value) < 1e21:
            return int(value)
        case _:
            return value
