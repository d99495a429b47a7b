"""The node types: what the canvas draws its palette and its forms from."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import ValidationError

from headrace.api.deps import InProject, Shared
from headrace.api.schemas import Model
from headrace.engine import activity_reading
from headrace.engine.declared import OwnType, own_types
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT
from headrace.nodes.activity import GROUP
from headrace.nodes.base import Config, NodeType
from headrace.nodes.stored_activity import StoredActivity
from headrace.store.stored_activities import Stored

router = APIRouter(tags=["node types"])


class NodeTypeOut(Model):
    """A node type. branches: labels that its out-edges may carry; a decision's come from its config.

    origin: `built-in`, or who brings the activity that it is. not_seen_since: no worker that has it was
    heard of since then, which is more than a day ago.
    """

    type: str
    name: str
    group: str
    description: str
    branching: bool
    branches: list[str]
    config_schema: JsonObject
    origin: str = "built-in"
    not_seen_since: datetime | None = None

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
    def of_declared(cls, one: OwnType) -> NodeTypeOut:
        """An activity whose code workers have."""
        declared = one.declared
        return cls(
            type=declared.name,
            name=_name(declared.name),
            group=GROUP,
            description=declared.description,
            branching=False,
            branches=[],
            config_schema=declared.input_schema,
            origin=declared.origin,
            not_seen_since=one.not_seen_since,
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
async def list_node_types(house: Shared, project: InProject = None) -> NodeTypes:
    """Every node type in the palette's order, with the JSON Schema of its config; then the activities.

    Those whose source is in the database are the project's own.
    """
    stored = await activity_reading.palette(house.engine, project or DEFAULT_PROJECT)
    names = {one.name for one in stored}
    own = await own_types(house.engine)
    declared = [one for one in own if one.not_seen_since is None or one.declared.name not in names]
    hidden = {one.declared.name for one in declared}
    brought = [NodeTypeOut.of(kind) for kind in house.engine.nodes]
    kept = [NodeTypeOut.of_stored(one) for one in stored if one.name not in hidden]
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
