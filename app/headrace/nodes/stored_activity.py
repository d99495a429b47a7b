"""A stored activity as a node: the source that the run is pinned to, in a sandbox unless it is trusted."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.lanes import Language, Program
from headrace.nodes.stored_call import CALL, with_call
from headrace.nodes.stored_sources import StoredSource

TRUSTED = "headrace.nodes.stored_call:run"
"""What runs trusted Python, in a process of its own."""


class StoredActivity(NodeType[Config]):
    """The node's settings are the function's parameters; without any, it gets the node's input.

    Each stored activity is a node type of its own: `node_type` makes them.
    """

    group = "Activities"
    description = "Code that is kept in the database."
    config_model = Config

    def stored_activity(self, config: Config) -> str | None:  # noqa: ARG002
        return self.type

    async def start(self, context: NodeContext, config: Config) -> Outcome:
        return Done(await run_stored(context, self.type, dict(config.model_extra or {})))


@lru_cache(maxsize=1024)
def node_type(name: str) -> NodeType[Config]:
    """The node type that runs the stored activity of this name."""
    kind: type[StoredActivity] = type(name, (StoredActivity,), {"type": name})
    return kind()


async def run_stored(context: NodeContext, name: str, settings: JsonObject) -> JsonValue:
    """Runs the version of a stored activity that this run uses; its output.

    settings: its parameters, in which placeholders are filled in; when they name none of its parameters, it
    gets the node's input. JavaScript stays in its sandbox: there it has all that it can have. Raises
    LostVersion and AttemptFailed.
    """
    source = await context.stored.source(name)
    is_meant = bool(settings.keys() & source.parameters if source.parameters else settings)
    given = fill(context, settings) if is_meant else context.input
    if source.language == "python" and await context.stored.is_trusted():
        return await _run_trusted(context, name, source, given)
    done = await context.run_sandboxed(_program(source), given)
    return done.output


async def _run_trusted(context: NodeContext, name: str, source: StoredSource, given: JsonValue) -> JsonValue:
    payload: JsonObject = {"name": name, "source": source.text, "entry": source.entry, "given": given}
    done = cast(JsonObject, await context.run_isolated(TRUSTED, payload))
    for line in cast("list[str]", done["log"]):
        context.say("stdout", line)
    return done["output"]


def _program(source: StoredSource) -> Program:
    if source.language == "python":
        return Program("python", with_call(source.text, source.entry), CALL)
    return Program(cast(Language, source.language), source.text, source.entry)
