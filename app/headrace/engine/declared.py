"""The activities whose code workers have, as the palette shows them, and what workers could not load."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace.activities.declaration import Declaration
from headrace.activities.registry import REGISTRY
from headrace.engine.program import Engine
from headrace.graph.json_types import JsonValue
from headrace.store import activities_seen


@dataclass(frozen=True, slots=True)
class OwnType:
    """An activity as a node type. not_seen_since: no worker that has it was heard of since then."""

    declared: Declaration
    not_seen_since: datetime | None = None


async def own_types(engine: Engine) -> list[OwnType]:
    """The activities that are node types by their own names: not those that a node type hides.

    What comes with Headrace is there before any worker has said so.
    """
    async with engine.db.connection() as tx:
        seen = await activities_seen.find(tx)
    known = {one.name: OwnType(one.declaration) for one in REGISTRY}
    for one in seen:
        declared = Declaration.from_json(one.declaration)
        if one.counts or declared.name not in known:
            known[declared.name] = OwnType(declared, one.not_seen_since)
    hiding = set(engine.nodes.names())
    return [one for name, one in sorted(known.items()) if name not in hiding]


async def load_problems(engine: Engine) -> list[JsonValue]:
    """What of their modules workers that run could not import; see `headrace_worker.discovery`."""
    async with engine.db.connection() as tx:
        return await activities_seen.load_problems(tx)
