"""How the out-edges of an ended task resolve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from headrace.errors import BadExpression
from headrace.graph.expressions import evaluate, truthy
from headrace.graph.join import EdgeOutcome
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.states import TaskStatus


class On(StrEnum):
    """Which end of its source an edge follows."""

    SUCCESS = "success"
    FAILURE = "failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """An edge of a plan; source and target are positions. branch: its label, or None.

    slot: its place among the out-edges of its source, and so in the source's stored outcomes.
    """

    index: int
    slot: int
    id: str
    source: int
    target: int
    branch: str | None = None
    on: On = On.SUCCESS
    when: JsonValue = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ended, with what the conditions on its out-edges may look at."""

    status: TaskStatus
    branches: frozenset[str] = frozenset()
    output: JsonValue = None
    error: JsonObject | None = None
    input: JsonValue = None
    run: JsonValue = None


@dataclass(slots=True)
class Resolution:
    """The outcomes of a task's out-edges, one letter an edge in the plan's order, and what to warn of."""

    outcomes: str
    warnings: list[str]


def resolve_edges(edges: Iterable[PlanEdge], ending: Ending, allow_failure: bool = False) -> Resolution:
    """Resolves all out-edges of one ended task.

    A condition that cannot be evaluated counts as false and gives a warning.
    """
    resolver = _Resolver(ending, allow_failure)
    edges = tuple(edges)
    resolver.handled = ending.status is TaskStatus.FAILED and any(map(resolver.catches, edges))
    return Resolution("".join(resolver.outcome(edge).value for edge in edges), resolver.warnings)


class _Resolver:
    def __init__(self, ending: Ending, allow_failure: bool) -> None:
        self.ending = ending
        self.allow_failure = allow_failure
        self.handled = False
        self.warnings: list[str] = []
        self._held: dict[int, bool] = {}

    def catches(self, edge: PlanEdge) -> bool:
        return edge.on is On.FAILURE and self._holds(edge)

    def outcome(self, edge: PlanEdge) -> EdgeOutcome:
        match self.ending.status:
            case TaskStatus.COMPLETED:
                return _taken(self._after_success(edge))
            case TaskStatus.FAILED:
                return self._after_failure(edge)
            case TaskStatus.SKIPPED:
                return EdgeOutcome.NOT_TAKEN
            case TaskStatus.UPSTREAM_FAILED:
                return EdgeOutcome.NOT_TAKEN if edge.on is On.FAILURE else EdgeOutcome.FAILED
            case TaskStatus.CANCELLED:
                return EdgeOutcome.CANCELLED
            case _:
                raise ValueError(f"a task that is {self.ending.status} has not ended")

    def _after_success(self, edge: PlanEdge) -> bool:
        match edge.on:
            case On.SUCCESS:
                return (edge.branch is None or edge.branch in self.ending.branches) and self._holds(edge)
            case On.FAILURE:
                return False
            case On.ALWAYS:
                return True
            case _:
                assert_never(edge.on)

    def _after_failure(self, edge: PlanEdge) -> EdgeOutcome:
        match edge.on:
            case On.ALWAYS:
                return EdgeOutcome.TAKEN
            case On.FAILURE:
                return _taken(self.catches(edge))
            case On.SUCCESS if self.handled:
                return EdgeOutcome.NOT_TAKEN
            case On.SUCCESS if self.allow_failure:
                return _taken(edge.branch is None and self._holds(edge))
            case On.SUCCESS:
                return EdgeOutcome.FAILED
            case _:
                assert_never(edge.on)

    def _holds(self, edge: PlanEdge) -> bool:
        """Evaluated once an edge, so that a warning is given once."""
        if edge.index not in self._held:
            self._held[edge.index] = edge.when is None or self._evaluate(edge)
        return self._held[edge.index]

    def _evaluate(self, edge: PlanEdge) -> bool:
        ending = self.ending
        data: JsonValue = {
            "input": ending.input,
            "output": ending.output,
            "error": ending.error,
            "run": ending.run,
        }
        try:
            return truthy(evaluate(edge.when, data))
        except BadExpression as error:
            self.warnings.append(f"Condition on edge {edge.id} counts as false: {error.message}")
            return False


def _taken(is_taken: bool) -> EdgeOutcome:
    return EdgeOutcome.TAKEN if is_taken else EdgeOutcome.NOT_TAKEN
