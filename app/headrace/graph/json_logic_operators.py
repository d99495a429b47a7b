"""The operators of json-logic whose arguments are evaluated before they are called.

As json-logic-js has them, except `log` (it returns its argument and logs nothing). What it does with numbers
is done with doubles, so no result can grow; what grows with its arguments is paid for in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, TypeAlias

from headrace.errors import BadExpression
from headrace.graph.coercion import (
    MISSING,
    Value,
    loosely_equal,
    order,
    own_property,
    parse_float,
    strictly_equal,
    to_number,
)
from headrace.graph.json_types import JsonValue
from headrace.graph.meter import CHARS_A_STEP, ITEMS_A_STEP, Built, Meter, known

_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator: its evaluated arguments and the data that `var` reads."""

    arguments: list[Value]
    data: JsonValue
    meter: Meter

    def __getitem__(self, index: int) -> Value:
        return self.arguments[index] if index < len(self.arguments) else MISSING

    def primitive(self, value: Value) -> Value:
        """Lists and objects as text, as JavaScript compares and calculates with them."""
        return self.meter.text(value) if isinstance(value, (list, dict)) else value

    def number(self, index: int) -> float:
        return to_number(self.primitive(self[index]))

    def numbers(self) -> list[float]:
        return [self.number(index) for index in range(len(self.arguments))]

    def string(self, value: Value) -> str:
        """`String(value)`, where null is 'null'."""
        return self.meter.text(value, "null", "undefined")


Operator: TypeAlias = Callable[[Call], Value]


def _equal(call: Call) -> bool:
    left, right = call[0], call[1]
    if isinstance(left, (list, dict)) and isinstance(right, (list, dict)):
        return left is right
    return loosely_equal(call.primitive(left), call.primitive(right))


def _identical(call: Call) -> bool:
    return strictly_equal(call[0], call[1])


def _ordered(call: Call, signs: tuple[int, ...], between: bool = False) -> bool:
    """Whether the arguments stand in one of the orders; `between` takes a third one, as a < b < c."""
    last = 2 if between and call[2] is not MISSING else 1
    values = [call.primitive(call[index]) for index in range(last + 1)]
    return all(order(left, right) in signs for left, right in pairwise(values))


def truthy(value: Value) -> bool:
    """json-logic's truth: as JavaScript's ('0' and {} are true, NaN is false), but [] is false."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return isinstance(value, dict) or (value is not MISSING and bool(value))


def _in(call: Call) -> bool:
    needle, hay = call[0], call[1]
    if isinstance(hay, str):
        return hay != "" and call.string(needle) in hay  # json-logic-js finds nothing in '', not even ''
    if isinstance(hay, list):
        length = len(needle) if isinstance(needle, str) else 0
        call.meter.spend(len(hay) // ITEMS_A_STEP + len(hay) * (length // CHARS_A_STEP))
        return any(strictly_equal(item, needle) for item in hay)
    return False


def _cat(call: Call) -> str:
    return "".join([call.meter.text(value) for value in call.arguments])


def _substr(call: Call) -> str:
    text, start = call.string(call[0]), _integer(call.number(1))
    rest = text[max(len(text) + start, 0) if start < 0 else start :]
    if call[2] is MISSING:
        return rest
    length = _integer(call.number(2))
    return rest[: max(len(rest) + length, 0) if length < 0 else length]


def _integer(number: float) -> int:
    if math.isnan(number):
        return 0
    return int(max(min(number, _EXACT_INTEGERS), -_EXACT_INTEGERS))


def _number(result: float) -> float:
    """Whole numbers as int, so that they look in JSON as JavaScript writes them."""
    return int(result) if abs(result) < _EXACT_INTEGERS and result.is_integer() else result


def _leading_number(call: Call, value: Value) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return to_number(value)
    return parse_float(call.meter.text(value))


def _add(call: Call) -> float:
    return _number(sum((_leading_number(call, value) for value in call.arguments), 0.0))


def _multiply(call: Call) -> Value:
    if not call.arguments:
        raise BadExpression("'*' needs an argument.")
    if len(call.arguments) == 1:
        return call[0]
    return _number(math.prod(_leading_number(call, value) for value in call.arguments))


def _subtract(call: Call) -> float:
    return _number(-call.number(0) if call[1] is MISSING else call.number(0) - call.number(1))


def _divide(call: Call) -> float:
    number, by = call.number(0), call.number(1)
    if by != 0:
        return _number(number / by)
    if number == 0 or math.isnan(number):
        return math.nan
    return math.copysign(math.inf, number) * math.copysign(1.0, by)


def _modulo(call: Call) -> float:
    number, by = call.number(0), call.number(1)
    return math.nan if by == 0 or math.isinf(number) else _number(math.fmod(number, by))


def _extreme(call: Call, choose: Callable[[list[float]], float], empty: float) -> float:
    numbers = call.numbers()
    if any(math.isnan(number) for number in numbers):
        return math.nan
    return _number(choose(numbers)) if numbers else empty


def _merge(call: Call) -> Built:
    merged = Built()
    for value in call.arguments:
        items = value if isinstance(value, list) else [known(value)]
        call.meter.spend(len(items) // ITEMS_A_STEP)
        merged.extend(items)
    return merged


def _var(call: Call) -> Value:
    default = None if call[1] is MISSING else call[1]
    return _read(call, call[0], default)


def _read(call: Call, path: Value, default: Value = None) -> Value:
    if path is MISSING or path is None or path == "":
        return call.data
    value: Value = call.data
    for name in call.meter.text(path).split("."):
        value = _property(value, name)
        if value is MISSING:
            return default
    return value


def _property(value: Value, name: str) -> Value:
    if name == "length" and isinstance(value, (str, list)):
        return len(value)
    return own_property(value, name)


def _missing(call: Call) -> Built:
    keys = call[0]
    return _missing_of(call, keys if isinstance(keys, list) else call.arguments)


def _missing_of(call: Call, keys: Sequence[Value]) -> Built:
    call.meter.spend(len(keys))
    return Built(known(key) for key in keys if _read(call, key) in (None, ""))


def _missing_some(call: Call) -> Built:
    options = call[1]
    keys = options if isinstance(options, list) else [known(options)]
    missing = _missing_of(call, keys)
    return Built() if len(keys) - len(missing) >= call.number(0) else missing


OPERATORS: Final[Mapping[str, Operator]] = {
    "==": _equal,
    "===": _identical,
    "!=": lambda call: not _equal(call),
    "!==": lambda call: not _identical(call),
    ">": partial(_ordered, signs=(1,)),
    ">=": partial(_ordered, signs=(0, 1)),
    "<": partial(_ordered, signs=(-1,), between=True),
    "<=": partial(_ordered, signs=(-1, 0), between=True),
    "!!": lambda call: truthy(call[0]),
    "!": lambda call: not truthy(call[0]),
    "%": _modulo,
    "log": lambda call: call[0],
    "in": _in,
    "cat": _cat,
    "substr": _substr,
    "+": _add,
    "*": _multiply,
    "-": _subtract,
    "/": _divide,
    "min": partial(_extreme, choose=min, empty=math.inf),
    "max": partial(_extreme, choose=max, empty=-math.inf),
    "merge": _merge,
    "var": _var,
    "missing": _missing,
    "missing_some": _missing_some,
}
