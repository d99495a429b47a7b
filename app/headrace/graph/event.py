"""Whether an event is one that a handler waits for."""

from __future__ import annotations

from headrace.errors import BadExpression
from headrace.graph.json_logic import evaluate
from headrace.graph.json_logic_operators import truthy
from headrace.graph.json_types import JsonObject, JsonValue


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name is what the pattern says; `*` stands for any text, also none."""
    first, *others = pattern.split("*")
    if not others:
        return name == first
    last = others.pop()
    end = len(name) - len(last)
    if end < len(first) or not name.startswith(first) or not name.endswith(last):
        return False
    # Taking each part where it first stands leaves the most for those after it: no need to go back.
    place = len(first)
    for part in others:
        place = name.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def holds_for(condition: JsonValue, event: JsonObject) -> bool:
    """Whether the json-logic holds over `{name, id, data}`. None always holds; an error is a no."""
    if condition is None:
        return True
    try:
        return truthy(evaluate(condition, event))
    except BadExpression:
        return False
