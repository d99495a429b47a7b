"""The activities that a document names and this process lacks: others declared them, or they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.activities.declaration import Declaration
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT
from headrace.nodes.activity import Known, run_activity
from headrace.nodes.base import NodeRegistry
from headrace.store import activities_seen, stored_activities
from headrace.store.db import Database, Tx


@dataclass(frozen=True, slots=True)
class Named:
    """What is called by this name there: a node type, or the activity of a node."""

    key: str
    name: str


async def widened(
    tx: Tx, nodes: NodeRegistry, document: JsonValue, project: str = DEFAULT_PROJECT
) -> NodeRegistry:
    """The node types, together with the activities that a document names. It may be any part of one.

    It looks into the database only for names that this process does not know.
    """
    unknown = _unknown(nodes, document)
    return nodes.knowing(run_activity(await _known(tx, unknown, project))) if unknown else nodes


async def widened_for(
    db: Database, nodes: NodeRegistry, document: JsonValue, project: str = DEFAULT_PROJECT
) -> NodeRegistry:
    """As `widened`, with a connection of its own, and that only if it needs one."""
    if not _unknown(nodes, document):
        return nodes
    async with db.connection() as tx:
        return await widened(tx, nodes, document, project)


async def _known(tx: Tx, names: list[str], project: str) -> Known:
    """A declaration that counts no more gives way to a stored activity of its name."""
    seen = [
        (Declaration.from_json(one.declaration), one.counts) for one in await activities_seen.find(tx, names)
    ]
    found = await stored_activities.find(tx, project, names)
    stored = frozenset(one.name for one in found if one.active is not None)
    declared = {one.name: one for one, counts in seen if counts or one.name not in stored}
    return Known(declared=declared, stored=stored)


def _unknown(nodes: NodeRegistry, document: JsonValue) -> list[str]:
    own = Known()
    return sorted(
        {
            one.name
            for one in set(named(document))
            if (own.activity(one.name) if one.key == "activity" else nodes.get(one.name)) is None
        }
    )


def named(document: JsonValue) -> Iterator[Named]:
    """Whatever could name a node's type or an activity, wherever it stands."""
    waiting = [document]
    while waiting:
        match waiting.pop():
            case dict() as part:
                for key in ("type", "activity"):
                    if isinstance(name := part.get(key), str):
                        yield Named(key, name)
                waiting += part.values()
            case list() as part:
                waiting += part
