"""switch: the first case that matches, else the default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import BadExpression, HeadraceError, Problem
from headrace.graph.coercion import text_of
from headrace.graph.expressions import evaluate, truthy
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.predicates import (
    Combiner,
    Predicate,
    predicate_problems,
    predicates_hold,
    rule_problems,
)

DEFAULT = "out-default"


class SwitchCase(Config):
    """One way on; of `values`, `when` and `predicates`, all that are given must hold."""

    id: str = Field(min_length=1, description="Its branch is `out-<id>`.")
    name: str = Field(default="", description="What people call the case.")
    values: tuple[AnyJson, ...] = Field(
        default=(), description="Matches when the switch's value is one of these; texts and numbers alike."
    )
    when: AnyJson = Field(
        default=None, description="Matches when this json-logic over `input`, `value` and `run` is true."
    )
    predicates: tuple[Predicate, ...] = Field(default=(), description="Matches when these rules hold.")
    combiner: Combiner = Field(default="all", description="Whether all rules must hold, or any.")

    @property
    def branch(self) -> str:
        return f"out-{self.id}"

    @property
    def is_empty(self) -> bool:
        return not self.values and self.when is None and not self.predicates

    def matches(self, data: JsonObject) -> bool:
        """data: {input, value, run}. A case without any condition matches nothing. Raises BadExpression."""
        return (
            not self.is_empty
            and (not self.values or any(is_same(one, data["value"]) for one in self.values))
            and (self.when is None or truthy(evaluate(self.when, data)))
            and (not self.predicates or predicates_hold(self.predicates, self.combiner, data["input"]))
        )


def _as_cases(given: object) -> object:
    """Cases in short: a map {value: id}, where null stands for the value itself, or ids in a list."""
    if isinstance(given, Mapping):
        ids = {value: value if id is None else id for value, id in given.items()}
        if wrong := [value for value, id in ids.items() if not isinstance(id, str)]:
            raise ValueError(f"'{wrong[0]}' must lead to the id of a case, a text")
        values: dict[str, list[object]] = {}
        for value, id in ids.items():
            values.setdefault(id, []).append(value)
        return [{"id": id, "values": those} for id, those in values.items()]
    if isinstance(given, list):
        return [{"id": one, "values": [one]} if isinstance(one, str) else one for one in given]
    return given


Cases: TypeAlias = Annotated[tuple[SwitchCase, ...], BeforeValidator(_as_cases)]


class SwitchConfig(Config):
    """The cases, in the order in which they are tried."""

    value: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("value", "switchExpression", "switch_expression"),
        description="What the cases' `values` are compared with, as `${ data.status }`.",
    )
    cases: Cases = Field(
        default=(),
        description="The cases; each is a branch. In short: `{'paid': 'ship'}` takes `out-ship` for `paid`.",
    )
    default: bool = Field(
        default=False, description="Whether `out-default` is taken when no case matches; else the node fails."
    )


class Switch(NodeType[SwitchConfig]):
    """Opens one branch; its output is its input."""

    type = "switch"
    group = "Logic & Control"
    description = "Goes the way of the first case that matches, else of the default; without one it fails."
    branching = True
    is_instant = True
    config_model = SwitchConfig

    def branches(self, config: SwitchConfig) -> tuple[str, ...]:
        cases = tuple(case.branch for case in config.cases)
        return (*cases, DEFAULT) if config.default else cases

    def check(self, config: SwitchConfig) -> Iterable[Problem]:
        for id, count in Counter(case.id for case in config.cases).items():
            if count > 1:
                yield Problem("cases", f"{count} cases have the id '{id}'", "give each its own id")
        for index, case in enumerate(config.cases):
            yield from _case_problems(case, f"cases[{index}]")
            if case.values and config.value is None:
                yield Problem("value", f"case '{case.id}' compares it, but there is none", "as `${ status }`")

    async def start(self, context: NodeContext, config: SwitchConfig) -> Outcome:
        try:
            value = fill(context, config.value)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        data: JsonObject = {"input": context.input, "value": value, "run": context.scope.names.get("run")}
        matched = next((case for case in config.cases if _matches(context, case, data)), None)
        if matched is not None:
            context.say("decision", f"Matched case: {matched.id}")
            return Done(context.input, frozenset({matched.branch}))
        if config.default:
            context.say("decision", "Matched no case: default")
            return Done(context.input, frozenset({DEFAULT}))
        return Failed("no case matches and there is no default", "NoBranchMatched", retryable=False)


def is_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether a case's value is the switch's: '5' is 5 and 'true' is true, for a map's keys are texts."""
    if isinstance(one, str) is isinstance(other, str):
        return one == other and isinstance(one, bool) is isinstance(other, bool)
    text, value = (one, other) if isinstance(one, str) else (other, one)
    return isinstance(value, bool | int | float) and text == text_of(value)


def _matches(context: NodeContext, case: SwitchCase, data: JsonObject) -> bool:
    try:
        return case.matches(data)
    except BadExpression as error:
        context.say("warning", f"Case '{case.id}' cannot be evaluated: {error.message}", type="info")
        return False


def _case_problems(case: SwitchCase, path: str) -> Iterator[Problem]:
    if case.branch == DEFAULT:
        yield Problem(f"{path}.id", "'default' is the branch of the default", "give the case another id")
    if case.is_empty:
        yield Problem(path, f"case '{case.id}' has no condition", "values, when or predicates")
    yield from rule_problems(case.when, f"{path}.when")
    yield from predicate_problems(case.predicates, f"{path}.predicates")
