"""Conditions: json-logic, and what a form's rules mean in it. Data, never code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace.errors import BadExpression
from headrace.graph.json_logic import check, evaluate, operators
from headrace.graph.json_logic_operators import truthy
from headrace.graph.json_types import JsonObject, JsonValue

__all__ = ["check", "evaluate", "holds", "operators", "rule_of", "truthy", "violation"]

_BROKEN: Final = "does not keep its rule"
_COMPARISONS: Final[Mapping[str, str]] = {
    "equals": "==",
    "notEquals": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "before": "<",
    "after": ">",
}


def rule_of(validation_logic: JsonValue, validation_config: JsonValue) -> JsonValue | None:
    """The json-logic over `value` that a form's rules mean, None if there are none.

    validation_logic is json-logic already and wins. validation_config is the rule builder's form:
    `{kind, combiner: all|any, rules: [{type, value | values | min, max, inclusive}]}`. A rule of an unknown
    type becomes an operator of that name, which `check` reports.
    """
    if validation_logic is not None or not isinstance(validation_config, dict):
        return validation_logic
    rules = validation_config.get("rules")
    given = rules if isinstance(rules, list) else []
    parts: list[JsonValue] = [_built_rule(rule) for rule in given if isinstance(rule, dict)]
    if not parts:
        return None
    return {"or" if validation_config.get("combiner") == "any" else "and": parts}


def _built_rule(rule: JsonObject) -> JsonValue:
    kind, value = str(rule.get("type")), rule.get("value")
    subject: JsonValue = {"var": "value"}
    match kind:
        case "match":
            return {"in": [value, subject]}
        case "in":
            return {"in": [subject, rule.get("values", value)]}
        case "between":
            low, high = (">=", "<=") if rule.get("inclusive", True) else (">", "<")
            return {"and": [{low: [subject, rule.get("min")]}, {high: [subject, rule.get("max")]}]}
        case _:
            return {_COMPARISONS.get(kind, kind): [subject, value]}


def holds(rule: JsonValue, value: JsonValue) -> bool:
    """Whether the value keeps the rule. No rule (None) holds of all; an error or a string is a no."""
    return violation(rule, value) is None


def violation(rule: JsonValue, value: JsonValue) -> str | None:
    """Why the value breaks the rule (the string that it gives, else a general one); None if it keeps it."""
    if rule is None:
        return None
    try:
        result = evaluate(rule, {"value": value})
    except BadExpression as error:
        return f"has a rule that cannot be evaluated: {error.message}"
    if isinstance(result, str):
        return result or _BROKEN
    return None if truthy(result) else _BROKEN
