"""trigger: where a run begins, with a schema for its input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.json_schema import problems, schema_problems

TriggerType: TypeAlias = Literal["manual", "webhook", "schedule", "signal", "api-endpoint"]


def _by_one_name(value: object) -> object:
    return "schedule" if value == "scheduled" else value


class TriggerConfig(Config):
    """What starts the workflow, and what it must be given."""

    input_schema: AnyJson = Field(
        default=None,
        description="A JSON Schema of the run's input; a run whose input does not keep it is not started.",
    )
    trigger_type: Annotated[TriggerType, BeforeValidator(_by_one_name)] = Field(
        default="manual",
        description="What is meant to start it: shown to people. Schedules and webhooks are kept apart.",
    )
    cron_expression: str = Field(
        default="",
        validation_alias=AliasChoices("cronExpression", "cron_expression", "cronSchedule"),
        description="The times that an imported schedule had: kept, but nothing starts by it.",
    )
    webhook_method: str = Field(
        default="", description="The method that an imported webhook had: kept, but nothing starts by it."
    )


class Trigger(NodeType[TriggerConfig]):
    """Checks the input against its schema; its output is its input."""

    type = "trigger"
    aliases = ("start",)
    group = "Input & Data"
    description = "Begins a run and passes its input on, which a JSON Schema may describe."
    is_instant = True
    config_model = TriggerConfig

    def check(self, config: TriggerConfig) -> Iterable[Problem]:
        return schema_problems(config.input_schema, "inputSchema")

    def check_start(self, config: TriggerConfig, run_input: JsonValue) -> Iterable[Problem]:
        if config.input_schema is None:
            return []
        # A run that is started without an input has one without keys.
        return problems(config.input_schema, {} if run_input is None else run_input, "input")

    async def start(self, context: NodeContext, config: TriggerConfig) -> Outcome:
        found = list(self.check_start(config, context.input))
        if found:
            message = "; ".join(f"{one.path}: {one.message}" for one in found)
            details: list[JsonValue] = [dict(one.as_dict()) for one in found]
            return Failed(message, kind="InvalidInput", retryable=False, details=details)
        context.say("trigger", f"Started ({config.trigger_type})")
        return Done(context.input)
