"""`noop`: does nothing. A place to draw edges to, and what benchmarks measure."""

from __future__ import annotations

from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType


class NoopConfig(Config):
    """Nothing to set."""


class Noop(NodeType[NoopConfig]):
    """Completes at once; its output is its input."""

    type = "noop"
    group = "Logic & Control"
    description = "Does nothing and passes its input on: a place where edges meet."
    is_instant = True
    config_model = NoopConfig

    async def start(self, context: NodeContext, config: NoopConfig) -> Outcome:
        return Done(context.input)
