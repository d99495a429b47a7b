"""Graphs inside nodes: the bodies of loops and maps, and a node taken alone.

A path names what a run executes: ids of nodes with bodies, outermost first, joined by `/`. `=id` at its end
takes one node out of its graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from headrace.errors import NotFound
from headrace.graph.definition import Definition, Node, parse
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.plan import BODY

Named = TypeVar("Named")

ALONE = "="
"""Before a node's id: the node alone, without its edges."""


class NoBody(NotFound):
    """There is no such part of the workflow."""

    code = "NoBody"


def path_into(path: str, node_id: str) -> str:
    """The path of the body of a node that is itself in the graph at `path`."""
    return f"{path}/{_escaped(node_id)}" if path else _escaped(node_id)


def path_of_one(node_id: str) -> str:
    """The path of one node of a workflow, alone."""
    return ALONE + _escaped(node_id)


def within(named: Mapping[str, Named], node_id: str) -> dict[str, Named]:
    """What is named in the body of a node, as it is named there: `node` of `map/node`."""
    prefix = f"{_escaped(node_id)}/"
    return {name[len(prefix) :]: one for name, one in named.items() if name.startswith(prefix)}


def names_node(node_id: str) -> frozenset[str]:
    """How a node of a graph is named in that graph; the last part of a path is escaped."""
    return frozenset((node_id, _escaped(node_id)))


def split(path: str) -> tuple[str, ...]:
    """The ids of the nodes that a path names, outermost first."""
    return tuple(_plain(part) for part in path.split("/"))


def body_at(definition: Definition, path: str) -> Definition:
    """The graph at a path; '' is the whole definition. Raises NoBody."""
    for part in path.split("/") if path else ():
        is_alone, name = part.startswith(ALONE), _plain(part.removeprefix(ALONE))
        node = next((one for one in definition.nodes if one.id == name), None)
        if node is None:
            raise NoBody(f"there is no node '{name}'")
        definition = _alone(node) if is_alone else parse(body_document(node))
    return definition


def body_document(node: Node) -> JsonValue:
    """The body of a node as a document: a graph, or one node written without a graph around it."""
    body = node.config.get(BODY)
    if isinstance(body, dict) and "nodes" not in body and "type" in body:
        one: JsonObject = {"id": "body", **body}
        return {"name": node.name, "nodes": [one]}
    return body


def _alone(node: Node) -> Definition:
    return Definition(name=node.name, nodes=(node,))


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F").replace(ALONE, "%3D")


def _plain(part: str) -> str:
    return part.replace("%3D", ALONE).replace("%2F", "/").replace("%25", "%")
