"""The activities that a document names and this process lacks: others declared them, or they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headrace.activities.declaration import Declaration
from headrace.activities.registry import REGISTRY
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT
from headrace.nodes.activity import Known, run_activity
from headrace.nodes.base import NodeRegistry
from headrace.store import activities_seen, stored_activities
from headrace.store.activities_seen import Seen
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

    It looks into the database only for names that Headrace does not bring.
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
    """A stored activity of the project gives way only to what workers of this very project have declared.

    A declaration that counts no more gives way, too; and so does code that this process brings for others.
    """
    seen = await activities_seen.find(tx, names)
    own = {str(one.declaration["name"]) for one in seen if one.counts and one.project == project}
    found = await stored_activities.find(tx, project, names)
    stored = frozenset(one.name for one in found if one.active is not None and one.name not in own)
    return Known(declared=_declared(seen, project), stored=stored)


def _declared(seen: Iterable[Seen], project: str) -> dict[str, Declaration]:
    """By name: of what several projects have declared, one's own."""
    mine_last = sorted(seen, key=lambda one: (one.counts, one.project == project))
    return {one.name: one for one in (Declaration.from_json(each.declaration) for each in mine_last)}


def _unknown(nodes: NodeRegistry, document: JsonValue) -> list[str]:
    """The names that could be those of stored activities: no node type, and nothing that Headrace brings."""
    activities = {one.name for one in REGISTRY if one.declaration.origin == "built-in"}
    ours = {"activity": activities, "type": activities.union(nodes.names())}
    return sorted({one.name for one in named(document) if one.name not in ours[one.key]})


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
