"""inline: an expression in JavaScript, in a sandbox; Conductor's INLINE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError, Problem
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.lanes import Program, SandboxFailed

Evaluator: TypeAlias = Literal["javascript", "graaljs"]

# What another attempt may mend: the machine was busy, or the process died.
_WORTH_ANOTHER = frozenset({"Timeout", "ProcessDied"})


class InlineConfig(Config):
    """What to evaluate, over what."""

    expression: str = Field(
        default="",
        validation_alias=AliasChoices("expression", "script"),
        description="JavaScript; `$` is the input. An expression, or a function that is called at once.",
        json_schema_extra={"format": "textarea"},
    )
    parameters: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("parameters", "inputParameters"),
        description="What `$` is; strings may hold `${ path }`. Empty: the node's input.",
    )
    evaluator_type: Evaluator = Field(
        default="javascript", description="As Conductor names it; both are the same here."
    )


class Inline(NodeType[InlineConfig]):
    """Its output is `{result}`."""

    type = "inline"
    aliases = ("INLINE",)
    group = "Input & Data"
    description = "Evaluates JavaScript over its input, in a sandbox."
    config_model = InlineConfig

    def check(self, config: InlineConfig) -> Iterable[Problem]:
        if not config.expression.strip():
            yield Problem("expression", "is empty", "$.amount * 1.19")

    async def start(self, context: NodeContext, config: InlineConfig) -> Outcome:
        try:
            given = context.input if config.parameters is None else fill(context, config.parameters)
            done = await context.run_sandboxed(Program("javascript", config.expression), given)
        except SandboxFailed as error:
            return replace(error.failed, retryable=error.failed.kind in _WORTH_ANOTHER)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        return Done({"result": done.output})
