"""terminate: ends the run, whatever else is under way."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError
from headrace.graph.outcome import Done, Failed, Outcome, Verdict
from headrace.graph.states import RunStatus
from headrace.graph.template import resolve
from headrace.nodes.base import Config, NodeContext, NodeType


class TerminateConfig(Config):
    """How the run ends."""

    status: Literal["succeeded", "failed", "cancelled"] = Field(
        default="failed", description="How the run ends."
    )
    reason: str = Field(default="", description="Why, for people; `{{ path }}` is filled in.")
    output: AnyJson = Field(default=None, description="The node's output; without it, its input.")


class Terminate(NodeType[TerminateConfig]):
    """Ends its run: what has not ended is cancelled; compensations and `finally` nodes run."""

    type = "terminate"
    group = "Logic & Control"
    description = "Ends the run at once, as succeeded, failed or cancelled, and says why."
    is_instant = True
    config_model = TerminateConfig

    async def start(self, context: NodeContext, config: TerminateConfig) -> Outcome:
        reason = context.render(config.reason) or f"node '{context.node_name}' ended the run"
        context.say("terminate", reason)
        try:
            output = context.input if config.output is None else resolve(config.output, context.scope)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        return Done(output, verdict=Verdict(RunStatus(config.status), reason))
