"""getVariable: reads a variable."""

from __future__ import annotations

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.set_variable import WHO_SHARES, VariableScope


class GetVariableConfig(Config):
    """Which variable."""

    name: str = Field(min_length=1, max_length=200, description="The variable's name.")
    default: AnyJson = Field(default=None, description="The value when it was never set.")
    scope: VariableScope = Field(default="run", description=WHO_SHARES)


class GetVariable(NodeType[GetVariableConfig]):
    """Its output is `{name, value}`."""

    type = "getVariable"
    aliases = ("get_variable",)
    group = "Data"
    description = "Reads a variable of the run, the workflow or the project."
    config_model = GetVariableConfig

    async def start(self, context: NodeContext, config: GetVariableConfig) -> Outcome:
        value = await context.variables.read(config.scope, config.name, config.default)
        return Done({"name": config.name, "value": value})
