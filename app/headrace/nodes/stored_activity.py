"""A stored activity as a node: the source that the run is pinned to, in a sandbox unless it is trusted."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Outcome
from headrace.nodes.activity_facts import facts_of, hear_for, told_of
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.filling import fill
from headrace.nodes.lanes import Language, Program
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
        settings: JsonObject = dict(config.model_extra or {})
        takes = (await context.stored.source(self.type)).parameters
        is_meant = bool(settings.keys() & takes if takes else settings)
        given = given_to(context, settings if is_meant else {})
        return Done(await run_stored(context, self.type, given))


@lru_cache(maxsize=1024)
def node_type(name: str) -> NodeType[Config]:
    """The node type that runs the stored activity of this name."""
    kind: type[StoredActivity] = type(name, (StoredActivity,), {"type": name})
    return kind()


def given_to(context: NodeContext, parameters: JsonObject) -> JsonValue:
    """What an activity gets: its parameters with placeholders filled in, or the node's input without any."""
    return fill(context, parameters) if parameters else context.input


async def run_stored(context: NodeContext, name: str, given: JsonValue) -> JsonValue:
    """Runs the version of a stored activity that this run uses; its output.

    JavaScript stays in its sandbox: there it has all that it can have. Raises LostVersion and AttemptFailed.
    """
    source = await context.stored.source(name)
    if source.language == "python" and await context.stored.is_trusted():
        return await _run_trusted(context, name, source, given)
    language = cast(Language, source.language)
    told = told_of(context, name, given) if language == "python" else None
    program = Program(language, source.text, source.entry, told)
    return (await context.run_sandboxed(program, given)).output


async def _run_trusted(context: NodeContext, name: str, source: StoredSource, given: JsonValue) -> JsonValue:
    payload: JsonObject = {
        "name": name,
        "source": source.text,
        "entry": source.entry,
        "given": given,
        "context": facts_of(context, name),
    }
    return await context.run_isolated(TRUSTED, payload, hear_for(context, name))
