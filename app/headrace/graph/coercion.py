"""JavaScript's view of JSON values: properties, text, numbers, equality and order.

Templates and conditions come from an editor that tries them in a browser; here they must mean the same.
Departures: integers below 1e21 keep all their digits as text, and text is counted in code points.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, TypeAlias

from headrace.graph.json_types import JsonValue


class Missing(Enum):
    """What is not there at all (JavaScript's undefined), as opposed to null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
Value: TypeAlias = "JsonValue | Missing"

_NOTHING = (None, MISSING)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(_DECIMAL)
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_INFINITY = re.compile(r"[+-]?Infinity")
_EXPONENT_FROM = 10**21
_EXPONENT_BELOW = 1e-6


def own_property(value: Value, name: str) -> Value:
    """A key of an object or, with a canonical index as name, an item of a list."""
    if isinstance(value, dict):
        return value.get(name, MISSING)
    if isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
        return value[int(name)]
    return MISSING


def number_text(number: float) -> str:
    """`String(number)`: 1.0 -> '1', 1e21 -> '1e+21', 1e-7 -> '1e-7'."""
    if isinstance(number, int) and abs(number) < _EXPONENT_FROM:
        return str(number)
    return _float_text(to_number(number))


def _float_text(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    if _EXPONENT_BELOW <= abs(number) < _EXPONENT_FROM:
        return _plain_decimal(repr(number))
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa}e{int(exponent):+d}"


def _plain_decimal(shortest: str) -> str:
    """Python's shortest digits (the same as JavaScript's) without exponent: 1.5e-05 -> 0.000015."""
    mantissa, _, exponent = shortest.partition("e")
    if not exponent:
        return mantissa.removesuffix(".0")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    shift = int(exponent)
    if shift > 0:
        return sign + whole + fraction.ljust(shift, "0")
    return sign + "0." + (whole + fraction).rjust(len(fraction) - shift, "0")


def text_pieces(value: Value) -> Iterator[str]:
    """The comma-separated parts of `text_of(value)`, one at a time, so that a caller can stop."""
    stack: list[Value] = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, list) and top:
            stack.extend(reversed(top))
        else:
            yield _scalar_text(top)


def _scalar_text(value: Value) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case dict():
            return "[object Object]"
        case _:
            return ""


def text_of(value: Value) -> str:
    """`String(value)`, but null and what is missing are ''. Lists are joined by commas, nested ones too."""
    return ",".join(text_pieces(value))


def to_number(value: Value) -> float:
    """`Number(value)` of what is no list and no object: null is 0, text that is no number is NaN."""
    match value:
        case None:
            return 0.0
        case str():
            return _text_to_number(value.strip())
        case int() | float():
            return _as_float(value)
        case _:
            return math.nan


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _text_to_number(text: str) -> float:
    if not text:
        return 0.0
    if _NUMBER.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    if _PREFIXED.fullmatch(text):
        return _as_float(int(text, 0))
    return math.nan


def parse_float(text: str) -> float:
    """`parseFloat(text)`: the number that the text begins with, else NaN."""
    start = text.lstrip()
    found = _NUMBER.match(start) or _INFINITY.match(start)
    return _text_to_number(found.group()) if found else math.nan


def strictly_equal(left: Value, right: Value) -> bool:
    """`left === right`. Lists and objects equal only themselves."""
    if isinstance(left, (list, dict, bool, type(None), Missing)):
        return left is right
    if isinstance(left, str):
        return left == right
    return not isinstance(right, bool) and left == right


def loosely_equal(left: Value, right: Value) -> bool:
    """`left == right` of what is no list and no object: '5' equals 5, null equals only what is missing."""
    if left in _NOTHING or right in _NOTHING:
        return left in _NOTHING and right in _NOTHING
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return _exact(left) == _exact(right)


def order(left: Value, right: Value) -> int | None:
    """-1, 0 or 1, and None where there is no order. Two texts by UTF-16 code units, all else as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        units, others = _code_units(left), _code_units(right)
        return (units > others) - (units < others)
    number, other = _exact(left), _exact(right)
    if math.isnan(number) or math.isnan(other):
        return None
    return (number > other) - (number < other)


def _exact(value: Value) -> float:
    """As `to_number`, but an integer is not rounded."""
    return value if isinstance(value, int) else to_number(value)


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
