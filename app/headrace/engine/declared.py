"""The activities whose code workers have, as the palette shows them, and what workers could not load."""

from __future__ import annotations

from headrace.activities.declaration import Declaration
from headrace.activities.registry import REGISTRY
from headrace.engine.program import Engine
from headrace.graph.json_types import JsonValue
from headrace.store import activities_seen


async def own_types(engine: Engine) -> list[Declaration]:
    """The activities that are node types by their own names: not those that a node type hides.

    What comes with Headrace is there before any worker has said so.
    """
    async with engine.db.connection() as tx:
        seen = [Declaration.from_json(one.declaration) for one in await activities_seen.find(tx)]
    known = {one.name: one.declaration for one in REGISTRY} | {one.name: one for one in seen}
    hiding = set(engine.nodes.names())
    return [one for name, one in sorted(known.items()) if name not in hiding]


async def load_problems(engine: Engine) -> list[JsonValue]:
    """What of their modules workers that run could not import; see `headrace_worker.discovery`."""
    async with engine.db.connection() as tx:
        return await activities_seen.load_problems(tx)
