"""A node type that does what its config says: for tests of what nodes may do to an engine."""

from __future__ import annotations

import asyncio
import math
from typing import Literal, cast

from pydantic import JsonValue as AnyJson

from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Done, Failed, Outcome, Waiting
from headrace.nodes.base import Config, NodeContext, NodeRegistry, NodeType
from headrace.nodes.builtin import builtin

MIB = 1024 * 1024

_UNSTORABLE: dict[str, JsonValue] = {
    "nul": {"text": "a\x00b"},
    "nan": {"number": math.nan},
    "surrogate": {"text": "\ud800"},
    "huge": "x" * (8 * MIB + 1),
    "huge_umlauts": "ä" * (4 * MIB + 1),
}


class ScriptConfig(Config):
    """do: what happens. times: so many attempts fail, then it answers. output: what it answers then."""

    do: Literal["answer", "fail", "crash", "exit", "hang", "time_out", "wait", "nonsense", "unstorable"] = (
        "answer"
    )
    output: AnyJson = None
    message: str = "as the script says"
    kind: str = "ScriptError"
    retryable: bool = True
    times: int = 1_000_000
    which: str = "nul"
    size: int = 0


class Script(NodeType[ScriptConfig]):
    """Answers its `output`, or its input, or goes wrong in one of many ways."""

    type = "script"
    group = "Tests"
    description = "Does what its config says."
    config_model = ScriptConfig

    async def start(self, context: NodeContext, config: ScriptConfig) -> Outcome:
        if config.do == "answer" or context.attempt > config.times:
            return self._answer(context, config)
        match config.do:
            case "fail":
                return Failed(config.message, config.kind, config.retryable)
            case "crash":
                raise RuntimeError(config.message)
            case "exit":
                raise SystemExit(config.message)
            case "hang":
                await asyncio.Event().wait()
            case "time_out":
                raise TimeoutError("the other side is slow")
            case "wait":
                return Waiting(60.0, "timer")
            case "unstorable":
                return Done(_UNSTORABLE[config.which])
        return cast(Outcome, "no outcome at all")

    async def resume(self, context: NodeContext, config: ScriptConfig) -> Outcome:
        return self._answer(context, config)

    def _answer(self, context: NodeContext, config: ScriptConfig) -> Done:
        if config.size:
            return Done({context.node_id: "x" * config.size})
        return Done(context.input if config.output is None else config.output)


class QuickScript(Script):
    """A script that takes no time."""

    type = "quick_script"
    is_instant = True


def with_script() -> NodeRegistry:
    """The shipped node types, `script` and `quick_script`."""
    scripts = [cast("NodeType[Config]", one) for one in (Script(), QuickScript())]
    return NodeRegistry([*builtin(), *scripts])
