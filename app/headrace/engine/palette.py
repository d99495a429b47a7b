"""The node types that a document may use: those of this process, and the stored activities that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headrace.engine.program import Engine
from headrace.engine.variables import PROJECT
from headrace.graph.json_types import JsonValue
from headrace.nodes.base import NodeRegistry
from headrace.nodes.stored_activity import node_type
from headrace.store import stored_activities

_NAMING = ("type", "activity")


async def knowing_stored(engine: Engine, document: JsonValue) -> Engine:
    """The engine, whose node types include the stored activities that a document names.

    It looks into the database only if the document names a type that this process does not know.
    """
    unknown = sorted({name for name in _names(document) if engine.nodes.get(name) is None})
    if not unknown:
        return engine
    async with engine.db.connection() as tx:
        found = await stored_activities.find(tx, PROJECT, unknown)
    kinds = [node_type(one.name) for one in found if one.active is not None]
    return replace(engine, nodes=NodeRegistry([*engine.nodes, *kinds])) if kinds else engine


def _names(document: JsonValue) -> Iterator[str]:
    """Whatever could name a node's type, wherever it stands."""
    waiting = [document]
    while waiting:
        match waiting.pop():
            case dict() as part:
                yield from (name for key in _NAMING if isinstance(name := part.get(key), str))
                waiting += part.values()
            case list() as part:
                waiting += part
