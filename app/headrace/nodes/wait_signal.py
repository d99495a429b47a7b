"""waitSignal: parks the task until its run is sent a signal of a certain name."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AliasChoices, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import Problem
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed, Outcome, Waiting
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.json_schema import problems, schema_problems
from headrace.nodes.waits import DONE, TIMEOUT, TimedOut, Timeout, give_up, received

LONGEST_NAME = 200


class WaitSignalConfig(Config):
    """Which signal, and how long."""

    name: str = Field(
        default="signal",
        validation_alias=AliasChoices("name", "signal", "signalName"),
        description="The signal's name; `{{ path }}` is filled in.",
    )
    timeout: Timeout = Field(
        default=None, description="How long to wait, in seconds or as `1h`; without it, for ever."
    )
    payload_schema: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("payloadSchema", "schema"),
        description="A JSON Schema; a signal whose payload does not keep it is refused.",
    )


class WaitSignal(NodeType[WaitSignalConfig]):
    """Its output is the signal's payload. It goes out-done, or out-timeout where that is drawn."""

    type = "waitSignal"
    aliases = ("wait_for_signal",)
    group = "Waits & People"
    description = "Waits for a signal from outside; its output is what the signal carries."
    branching = True
    config_model = WaitSignalConfig

    def branches(self, config: WaitSignalConfig) -> tuple[str, ...]:  # noqa: ARG002
        return DONE, TIMEOUT

    def check(self, config: WaitSignalConfig) -> Iterable[Problem]:
        return schema_problems(config.payload_schema, "payloadSchema")

    def check_signal(self, config: WaitSignalConfig, payload: JsonValue) -> Iterable[Problem]:
        return () if config.payload_schema is None else problems(config.payload_schema, payload)

    async def start(self, context: NodeContext, config: WaitSignalConfig) -> Outcome:
        name = context.render(config.name).strip()
        if not 0 < len(name) <= LONGEST_NAME:
            message = f"name: a signal's name has 1 to {LONGEST_NAME} characters, not {len(name)}"
            return Failed(message, kind="InvalidConfig", retryable=False)
        context.say("signal", f"Waiting for the signal '{name}'")
        return Waiting(config.timeout, "signal", signal=name, memory={"name": name})

    async def resume(self, context: NodeContext, config: WaitSignalConfig) -> Outcome:  # noqa: ARG002
        signal = received(context)
        if signal is not None:
            context.say("signal", "The signal came")
            return Done(signal.payload, frozenset({DONE}))
        name = context.memory["name"] if isinstance(context.memory, dict) else ""
        message = f"the signal '{name}' did not come in time"
        return give_up(context, TimedOut("SignalTimeout", message, {"timedOut": True}))
