"""Node types whose code is not async."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue as AnyJson

from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeRegistry, NodeType
from headrace.nodes.builtin import builtin


class IsolatedConfig(Config):
    """function: as `module:qualname`."""

    function: str
    payload: AnyJson = None


class Isolated(NodeType[IsolatedConfig]):
    """Calls a function in another process."""

    type = "isolated"
    group = "Tests"
    description = "Calls a function in another process."
    config_model = IsolatedConfig

    async def start(self, context: NodeContext, config: IsolatedConfig) -> Outcome:
        return Done(await context.run_isolated(config.function, config.payload))


class UntilCancelled(NodeType[Config]):
    """Waits in a thread until its attempt is over without it."""

    type = "until_cancelled"
    group = "Tests"
    description = "Waits in a thread until it is told to stop."
    config_model = Config

    def __init__(self) -> None:
        self.contexts: list[NodeContext] = []
        self.ended: list[str] = []

    async def start(self, context: NodeContext, config: Config) -> Outcome:  # noqa: ARG002
        return await context.run_sync(self._wait, context)

    def _wait(self, context: NodeContext) -> Outcome:
        self.contexts.append(context)
        context.cancelled.wait()
        self.ended.append(context.node_id)
        return Done("too late")


def with_lane_nodes(until_cancelled: UntilCancelled) -> NodeRegistry:
    """The shipped node types, `isolated` and `until_cancelled`."""
    return NodeRegistry([*builtin(), cast("NodeType[Config]", Isolated()), until_cancelled])
