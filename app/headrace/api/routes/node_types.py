"""The node types: what the canvas draws its palette and its forms from."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ValidationError

from headrace.activities.declaration import Declaration
from headrace.api.deps import Shared
from headrace.api.schemas import Model
from headrace.engine import activity_reading
from headrace.engine.declared import own_types
from headrace.graph.json_types import JsonObject
from headrace.nodes.activity import GROUP
from headrace.nodes.base import Config, NodeType
from headrace.nodes.stored_activity import StoredActivity
from headrace.store.stored_activities import Stored

router = APIRouter(tags=["node types"])


class NodeTypeOut(Model):
    """A node type. branches: labels that its out-edges may carry; a decision's come from its config.

    origin: `built-in`, or who brings the activity that it is.
    """

    type: str
    name: str
    group: str
    description: str
    branching: bool
    branches: list[str]
    config_schema: JsonObject
    origin: str = "built-in"

    @classmethod
    def of(cls, kind: NodeType[Config]) -> NodeTypeOut:
        return cls(
            type=kind.type,
            name=_name(kind.type),
            group=kind.group,
            description=kind.description,
            branching=kind.branching,
            branches=_branches(kind),
            config_schema=kind.config_model.model_json_schema(by_alias=True),
        )

    @classmethod
    def of_declared(cls, declared: Declaration) -> NodeTypeOut:
        """An activity whose code workers have."""
        return cls(
            type=declared.name,
            name=_name(declared.name),
            group=GROUP,
            description=declared.description,
            branching=False,
            branches=[],
            config_schema=declared.input_schema,
            origin=declared.origin,
        )

    @classmethod
    def of_stored(cls, stored: Stored) -> NodeTypeOut:
        """A stored activity; its active version says what it takes."""
        return cls(
            type=stored.name,
            name=stored.name,
            group=StoredActivity.group,
            description=StoredActivity.description,
            branching=False,
            branches=[],
            config_schema=stored.active.input_schema if stored.active else {},
            origin="stored",
        )


class NodeTypes(Model):
    items: list[NodeTypeOut]


@router.get("/node-types")
async def list_node_types(house: Shared) -> NodeTypes:
    """Every node type in the palette's order, with the JSON Schema of its config; then the activities."""
    stored = await activity_reading.palette(house.engine)
    declared = await own_types(house.engine)
    brought = [NodeTypeOut.of(kind) for kind in house.engine.nodes]
    known = {one.name for one in declared}
    kept = [NodeTypeOut.of_stored(one) for one in stored if one.name not in known]
    return NodeTypes(items=[*brought, *map(NodeTypeOut.of_declared, declared), *kept])


def _name(type: str) -> str:
    """`inputText` is `Input text`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type)
    return words[:1].upper() + words[1:]


def _branches(kind: NodeType[Config]) -> list[str]:
    try:
        return list(kind.branches(kind.config_model()))
    except ValidationError:
        return []
