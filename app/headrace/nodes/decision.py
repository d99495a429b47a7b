"""decision: a branch for every outcome that matches; none, one or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.predicates import Combiner, Predicate, predicate_problems, predicates_hold


class DecisionOutcome(Config):
    """One way on, with the rules that open it; without rules it is always open."""

    id: str = Field(min_length=1, description="Its branch is `out-<id>`.")
    name: str = Field(default="", description="What people call the outcome.")
    predicates: tuple[Predicate, ...] = Field(default=(), description="The rules.")
    combiner: Combiner = Field(default="all", description="Whether all rules must hold, or any.")
    # Older definitions carry one rule in the outcome itself.
    target_field: str = Field(default="", description="Older form: the path that validationLogic tests.")
    validation_logic: AnyJson = Field(
        default=None, description="Older form: one rule, instead of predicates."
    )

    @property
    def rules(self) -> tuple[Predicate, ...]:
        if self.predicates or self.validation_logic is None:
            return self.predicates
        return (Predicate(target_field=self.target_field, validation_logic=self.validation_logic),)

    @property
    def branch(self) -> str:
        return f"out-{self.id}"

    def matches(self, value: JsonValue) -> bool:
        return not self.rules or predicates_hold(self.rules, self.combiner, value)


class DecisionConfig(Config):
    """The possible outcomes."""

    decisions: tuple[DecisionOutcome, ...] = Field(default=(), description="The outcomes; each is a branch.")


class Decision(NodeType[DecisionConfig]):
    """Opens the branch of every outcome that matches; its output is its input."""

    type = "decision"
    group = "Logic & Control"
    description = "Goes every way whose rules hold for its input: none, one or several."
    branching = True
    exclusive_branches = False
    is_instant = True
    config_model = DecisionConfig

    def branches(self, config: DecisionConfig) -> tuple[str, ...]:
        return tuple(outcome.branch for outcome in config.decisions)

    def check(self, config: DecisionConfig) -> Iterable[Problem]:
        for id, count in Counter(outcome.id for outcome in config.decisions).items():
            if count > 1:
                yield Problem("decisions", f"{count} outcomes have the id '{id}'", "give each its own id")
        for index, outcome in enumerate(config.decisions):
            yield from predicate_problems(outcome.rules, f"decisions[{index}].predicates")

    async def start(self, context: NodeContext, config: DecisionConfig) -> Outcome:
        matched = [outcome for outcome in config.decisions if outcome.matches(context.input)]
        names = ", ".join(outcome.id for outcome in matched) or "none"
        context.say("decision", f"Matched {len(matched)} outcome(s): {names}")
        return Done(context.input, frozenset(outcome.branch for outcome in matched))
