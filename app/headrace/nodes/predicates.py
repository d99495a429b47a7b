"""Conditions as the rule builder writes them: rules on fields of the input, joined by all or any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.expressions import check, holds, rule_of
from headrace.graph.json_types import JsonValue
from headrace.graph.template import MISSING, lookup
from headrace.nodes.base import Config

Combiner: TypeAlias = Literal["all", "any"]


class Predicate(Config):
    """One rule on one field."""

    id: str = Field(default="", description="Names the rule in the editor.")
    target_field: str = Field(
        default="",
        description="Path of the tested value in the input, as `data.temperature`; empty: the whole input.",
    )
    validation_logic: AnyJson = Field(
        default=None, description="json-logic over `value`, as `{'>': [{'var': 'value'}, 25]}`."
    )
    validation_config: AnyJson = Field(
        default=None, description="The rule builder's own form; used when there is no validationLogic."
    )

    @property
    def rule(self) -> JsonValue:
        """The json-logic over `value`; None without a rule."""
        return rule_of(self.validation_logic, self.validation_config)

    def holds(self, value: JsonValue) -> bool:
        """Whether the rule holds for a node's input. No rule holds; what is missing is null."""
        subject = lookup(self.target_field, value) if self.target_field else value
        return holds(self.rule, None if subject is MISSING else subject)


def predicates_hold(predicates: Sequence[Predicate], combiner: Combiner, value: JsonValue) -> bool:
    """Whether all (or any) of the predicates hold for a node's input."""
    verdicts = (predicate.holds(value) for predicate in predicates)
    return all(verdicts) if combiner == "all" else any(verdicts)


def rule_problems(rule: JsonValue, path: str) -> Iterator[Problem]:
    """Operators of a rule that do not exist: with one, a rule would silently never hold."""
    for operator in check(rule):
        yield Problem(path, f"unknown operator '{operator}'", "an operator of json-logic")


def predicate_problems(predicates: Iterable[Predicate], path: str) -> Iterator[Problem]:
    """What is wrong with the rules, at `path[i].validationLogic`."""
    for index, predicate in enumerate(predicates):
        yield from rule_problems(predicate.rule, f"{path}[{index}].validationLogic")
