"""setVariable: sets a variable, appends to it, or counts with it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.graph.template import resolve
from headrace.graph.variables import Operation
from headrace.nodes.base import Config, NodeContext, NodeType

VariableScope: TypeAlias = Literal["run", "workflow", "project"]

WHO_SHARES = "Who shares the variable: the run, all runs of the workflow, or the project."


class SetVariableConfig(Config):
    """Which variable, and what becomes of it."""

    name: str = Field(min_length=1, max_length=200, description="The variable's name.")
    operation: Operation = Field(
        default="set", description="append adds to a list or a text; increment and decrement count."
    )
    value: AnyJson = Field(
        default=None,
        description="What to set or to append, or by how much to count (1). `${path}` keeps its type.",
    )
    scope: VariableScope = Field(default="run", description=WHO_SHARES)


class SetVariable(NodeType[SetVariableConfig]):
    """Its output is `{name, value}`, with the variable's new value."""

    type = "setVariable"
    aliases = ("set_variable",)
    group = "Data"
    description = "Sets a variable, appends to it or counts with it; nobody's change is lost."
    config_model = SetVariableConfig

    async def start(self, context: NodeContext, config: SetVariableConfig) -> Outcome:
        try:
            value = resolve(config.value, context.scope)
            new = await context.variables.change(config.scope, config.name, config.operation, value)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        context.say("variable", f"{config.name} ({config.scope}): {config.operation}")
        return Done({"name": config.name, "value": new})
