"""The json-logic interpreter: walks a rule, evaluates operands, counts depth and steps.

An expression may be nested 100 levels deep and take 200,000 steps; beyond that it is a BadExpression,
so no rule can hold up a worker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from headrace.errors import BadExpression
from headrace.graph.coercion import MISSING, Value
from headrace.graph.json_logic_operators import OPERATORS, Call, truthy
from headrace.graph.json_types import JsonValue
from headrace.graph.meter import Built, Meter, known

MAX_DEPTH: Final = 100


def evaluate(rule: JsonValue, data: JsonValue) -> JsonValue:
    """What the rule says of the data. NaN and Infinity become null, as in JSON.

    Raises BadExpression: an unknown operator (where it is reached), nested too deep, too many steps.
    """
    evaluation = _Evaluation(Meter())
    return evaluation.as_json(evaluation.apply(rule, data, MAX_DEPTH), MAX_DEPTH)


def operators(rule: JsonValue) -> frozenset[str]:
    """The names of all operators in the rule, also of those that an evaluation may never reach."""
    return frozenset(_operator_names(rule))


def check(rule: JsonValue) -> list[str]:
    """The names of the rule's operators that do not exist, sorted."""
    return sorted(operators(rule) - OPERATORS.keys() - _BRANCHING.keys())


def _operator_names(rule: JsonValue) -> Iterator[str]:
    stack = [rule]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, dict) and len(part) == 1:
            yield from part
            stack.extend(part.values())


class _Frame(dict[str, JsonValue]):
    """What a `reduce` rule sees, as opposed to an object of the data."""


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Walks a rule. `levels` counts down the nesting that is still allowed, the meter the steps."""

    meter: Meter

    def apply(self, rule: JsonValue, data: JsonValue, levels: int) -> Value:
        """An object with one key is an operation, a list a list of rules, anything else itself."""
        if not isinstance(rule, (list, dict)) or (isinstance(rule, dict) and len(rule) != 1):
            return rule
        if levels == 0:
            raise BadExpression(f"The expression is nested more than {MAX_DEPTH} levels deep.")
        self.meter.spend(1)
        if isinstance(rule, list):
            return Built([known(self.apply(part, data, levels - 1)) for part in rule])
        [(name, operands)] = rule.items()
        given: list[JsonValue] = operands if isinstance(operands, list) else [operands]
        return self._operate(name, _Branching(self, given, data, levels - 1))

    def _operate(self, name: str, branching: _Branching) -> Value:
        if name in _BRANCHING:
            return _BRANCHING[name](branching)
        if name not in OPERATORS:
            raise BadExpression(f"Unknown operator '{name}'.")
        values = branching.values()
        self.meter.read(values)
        return OPERATORS[name](Call(values, branching.data, self.meter))

    def as_json(self, value: Value, levels: int) -> JsonValue:
        """The result as a tree. What the evaluation built may share parts, so its real size is paid for."""
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if not isinstance(value, (Built, _Frame)):
            return known(value)
        if levels == 0:
            raise BadExpression(f"The result is nested more than {MAX_DEPTH} levels deep.")
        self.meter.spend(len(value))
        if isinstance(value, Built):
            return [self.as_json(item, levels - 1) for item in value]
        return {key: self.as_json(item, levels - 1) for key, item in value.items()}


@dataclass(frozen=True, slots=True)
class _Branching:
    """One use of an operator, with operands that are not yet evaluated."""

    evaluation: _Evaluation
    operands: list[JsonValue]
    data: JsonValue
    levels: int

    def values(self) -> list[Value]:
        return [self.evaluation.apply(part, self.data, self.levels) for part in self.operands]

    def value(self, index: int) -> Value:
        """The operand's value, null if there is no such operand."""
        part = self.operands[index] if index < len(self.operands) else None
        return self.evaluation.apply(part, self.data, self.levels)

    def items(self) -> list[JsonValue]:
        """The list that the first operand gives; empty if it gives anything else."""
        items = self.value(0)
        return items if isinstance(items, list) else []

    def of(self, item: JsonValue) -> Value:
        """What the second operand says of an item."""
        self.evaluation.meter.spend(1)
        if len(self.operands) < 2:
            return MISSING
        return self.evaluation.apply(self.operands[1], item, self.levels)


def _if(use: _Branching) -> Value:
    """Condition, value, condition, value, ..., else."""
    last = len(use.operands) - 1
    for index in range(0, last, 2):
        if truthy(use.value(index)):
            return use.value(index + 1)
    return use.value(last) if last % 2 == 0 else None


def _and(use: _Branching) -> Value:
    return _first(use, False)


def _or(use: _Branching) -> Value:
    return _first(use, True)


def _first(use: _Branching, verdict: bool) -> Value:
    """The first value with this truth, else the last one."""
    value: Value = MISSING
    for index in range(len(use.operands)):
        value = use.value(index)
        if truthy(value) is verdict:
            break
    return value


def _filter(use: _Branching) -> Value:
    return Built([item for item in use.items() if truthy(use.of(item))])


def _map(use: _Branching) -> Value:
    return Built([known(use.of(item)) for item in use.items()])


def _reduce(use: _Branching) -> Value:
    total = use.value(2)
    for item in use.items():
        total = use.of(_Frame(current=item, accumulator=known(total)))
    return total


def _all(use: _Branching) -> bool:
    """False of an empty list, unlike Python's `all`."""
    items = use.items()
    return bool(items) and all(truthy(use.of(item)) for item in items)


def _some(use: _Branching) -> bool:
    return any(truthy(use.of(item)) for item in use.items())


def _none(use: _Branching) -> bool:
    return not _some(use)


_BRANCHING: Final[Mapping[str, Callable[[_Branching], Value]]] = {
    "if": _if,
    "?:": _if,
    "and": _and,
    "or": _or,
    "filter": _filter,
    "map": _map,
    "reduce": _reduce,
    "all": _all,
    "some": _some,
    "none": _none,
}
