"""ifElse: two branches, one condition."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AliasChoices, Field

from headrace.errors import Problem
from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.predicates import Combiner, Predicate, predicate_problems, predicates_hold

TRUE, FALSE = "out-true", "out-false"


class Condition(Config):
    """Rules, joined by all or any; without rules it is false."""

    id: str = Field(default="", description="Names the condition in the editor.")
    name: str = Field(default="", description="What people call the condition.")
    predicates: tuple[Predicate, ...] = Field(default=(), description="The rules.")
    combiner: Combiner = Field(default="all", description="Whether all rules must hold, or any.")


class IfElseConfig(Config):
    """A condition and what its two answers are called."""

    condition: Condition = Field(default=Condition(), description="What is tested.")
    true_label: str = Field(
        default="True",
        validation_alias=AliasChoices("trueLabel", "true_label", "trueText"),
        description="What `yes` is called in the log.",
    )
    false_label: str = Field(
        default="False",
        validation_alias=AliasChoices("falseLabel", "false_label", "falseText"),
        description="What `no` is called in the log.",
    )


class IfElse(NodeType[IfElseConfig]):
    """Opens `out-true` or `out-false`; its output is its input."""

    type = "ifElse"
    group = "Logic & Control"
    description = "Goes one of two ways, by a condition on its input."
    branching = True
    is_instant = True
    config_model = IfElseConfig

    def branches(self, config: IfElseConfig) -> tuple[str, ...]:  # noqa: ARG002
        return TRUE, FALSE

    def check(self, config: IfElseConfig) -> Iterable[Problem]:
        return predicate_problems(config.condition.predicates, "condition.predicates")

    async def start(self, context: NodeContext, config: IfElseConfig) -> Outcome:
        condition = config.condition
        verdict = bool(condition.predicates) and predicates_hold(
            condition.predicates, condition.combiner, context.input
        )
        label = (config.true_label or "True") if verdict else (config.false_label or "False")
        context.say("decision", f"If-Else condition evaluated to: {label}")
        return Done(context.input, frozenset({TRUE if verdict else FALSE}))
