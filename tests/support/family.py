"""Short ways to write nodes with bodies, a node type for their items, and what one sees of their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, NodeContext, NodeRegistry, NodeType
from support.build import node
from support.rows import sql
from support.scripted import with_script


class ItemConfig(Config):
    """fails: indexes that fail, in their first `attempts`. by: what an item is multiplied by."""

    fails: tuple[int, ...] = ()
    attempts: int = 1_000_000
    by: int = 10


class Item(NodeType[ItemConfig]):
    """Multiplies its item, wherever in a body it stands."""

    type = "item"
    group = "Tests"
    description = "Multiplies its item."
    config_model = ItemConfig

    async def start(self, context: NodeContext, config: ItemConfig) -> Outcome:
        index = context.scope.names.get("index")
        if index in config.fails and context.attempt <= config.attempts:
            return Failed(f"item {index} is bad", retryable=False)
        item = context.scope.names.get("item")
        return Done(item * config.by if isinstance(item, int) else item)


def with_items() -> NodeRegistry:
    """The shipped node types, `script` and `item`."""
    return NodeRegistry([*with_script(), cast("NodeType[Config]", Item())])


def a_map(name: str, body: JsonObject, items: JsonValue = "${items}", **config: JsonValue) -> JsonObject:
    return node(name, "map", config={"items": items, "body": body, **config})


def a_loop(name: str, body: JsonObject, **config: JsonValue) -> JsonObject:
    return node(name, "repeat", config={"body": body, **config})


def call(name: str, workflow: str, **config: JsonValue) -> JsonObject:
    return node(name, "subWorkflow", config={"workflow": workflow, **config})


async def children_of(engine: Engine, run_id: UUID) -> Sequence[UUID]:
    """The runs that a run's tasks have started, in order."""
    rows = await sql(
        engine.db,
        "SELECT id FROM workflow_runs WHERE parent_run_id = $1 ORDER BY parent_position, child_index, id",
        run_id,
    )
    return [row.id for row in rows]


async def statuses_of_runs(engine: Engine) -> dict[str, int]:
    """How many runs stand where."""
    rows = await sql(engine.db, "SELECT status, count(*)::int AS n FROM workflow_runs GROUP BY status")
    return {row.status: row.n for row in rows}
