"""A workflow's definition: what people write, store and draw.

Two forms are read: the wire form of SequenceFlow's clients (a node's settings under `base`, edges with
`sourceId`, `targetId`, `sourceHandleId`) and the flat form (`{id, type, name, config}`,
`{source, target, branch}`). One form is written: the wire form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import Field, ValidationError, field_validator

from headrace.errors import InvalidDefinition, Problem
from headrace.graph.edges import On
from headrace.graph.faults import in_words
from headrace.graph.join import Join, parse_join
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.settings import (
    Cache,
    Concurrency,
    JoinSetting,
    OnFailure,
    Priority,
    PriorityValue,
    Rate,
    Retry,
    RunConcurrency,
    Seconds,
    Strict,
    Timeouts,
)

_PLAIN_HANDLES = (None, "", "out", "in")


class Position(Strict):
    """Where the canvas shows a node."""

    x: float = 0
    y: float = 0


class Node(Strict):
    """One step of a workflow."""

    id: str = Field(min_length=1, max_length=200)
    type: str = Field(min_length=1, max_length=64)
    name: str = Field("", max_length=255)
    config: JsonObject = Field(default_factory=dict)
    input_schema: JsonObject = Field(default_factory=dict)
    output_schema: JsonObject = Field(default_factory=dict)
    validation_logic: JsonValue = None
    connections: list[str] = Field(default_factory=list)
    position: Position = Position()
    join: JoinSetting = JoinSetting(rule="all")
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    allow_failure: bool = False
    max_lost: int = Field(3, ge=0, le=1000)
    is_final: bool = Field(False, alias="finally")
    compensate_with: str | None = None
    priority: PriorityValue | None = None
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    cache: Cache | None = None

    def join_rule(self) -> Join:
        """The join as the engine reads it."""
        return replace(parse_join(self.join.rule), losers=self.join.on_losers)


class Edge(Strict):
    """One arrow of a workflow. source_handle: as drawn; `branch` is what it means.

    id: as given, else `source->target` or `source->target:branch`. Several edges may have the same.
    """

    id: str = Field("", max_length=500)
    source: str
    target: str
    source_handle: str | None = None
    target_handle: str | None = None
    on: On = On.SUCCESS
    when: JsonValue = None

    @property
    def branch(self) -> str | None:
        """The label, or None: the handles `out` and `in` are no label."""
        return None if self.source_handle in _PLAIN_HANDLES else self.source_handle

    def named(self) -> Edge:
        """The edge with an id."""
        if self.id:
            return self
        plain = f"{self.source}->{self.target}"
        return self.model_copy(update={"id": f"{plain}:{self.branch}" if self.branch else plain})


class Definition(Strict):
    """A whole workflow, with its edges as they were drawn: some may be there twice.

    timeout: of a whole run. failure_workflow: the name or id of the workflow that is started when one
    fails.
    """

    name: str = Field("", max_length=255)
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    on_failure: OnFailure = OnFailure.FINISH_BRANCHES
    outputs: JsonObject = Field(default_factory=dict)
    timeout: Seconds | None = None
    failure_workflow: str | None = None
    priority: PriorityValue = Priority.NORMAL
    concurrency: RunConcurrency | None = None

    @field_validator("edges")
    @classmethod
    def _edges_have_ids(cls, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
        return tuple(edge.named() for edge in edges)

    def distinct_edges(self) -> list[Edge]:
        """The edges that count: of those with the same source, target, label and condition, the first."""
        first: dict[tuple[str, str, str | None, On, str], Edge] = {}
        for edge in self.edges:
            first.setdefault((edge.source, edge.target, edge.branch, edge.on, repr(edge.when)), edge)
        return list(first.values())


_NODE_OPTIONS = (
    "join",
    "retry",
    "timeouts",
    "allowFailure",
    "maxLost",
    "finally",
    "compensateWith",
    "priority",
    "concurrency",
    "rate",
    "cache",
)
_WORKFLOW_OPTIONS = ("onFailure", "outputs", "timeout", "failureWorkflow", "priority", "concurrency")
_EDGE_NAMES = {
    "sourceId": "source",
    "targetId": "target",
    "sourceHandleId": "sourceHandle",
    "targetHandleId": "targetHandle",
    "branch": "sourceHandle",
}
_WIRE_NAMES = {"source": "sourceId", "target": "targetId"}
_ENVELOPE = ("id", "project", "version", "createdAt", "updatedAt", "warnings")


def parse(document: JsonValue) -> Definition:
    """Reads either form. Raises InvalidDefinition with every problem of shape, each with its path."""
    if not isinstance(document, dict):
        raise InvalidDefinition(problems=[Problem("", "a workflow is an object with nodes and edges")])
    try:
        return Definition.model_validate(_flatten(document))
    except ValidationError as error:
        problems = [
            Problem(_path(document, one["loc"]), in_words(one), one.get("ctx", {}).get("hint", ""))
            for one in error.errors()
        ]
        raise InvalidDefinition(problems=problems) from error


def to_wire(definition: Definition) -> JsonObject:
    """The wire form of a definition, without the keys that only a stored workflow has."""
    wire: JsonObject = {
        "name": definition.name,
        "nodes": [_wire_node(node) for node in definition.nodes],
        "edges": [_wire_edge(edge) for edge in definition.edges],
    }
    return wire | _chosen(definition, _WORKFLOW_OPTIONS)


def _flatten(document: JsonObject) -> JsonObject:
    flat = {key: value for key, value in document.items() if key not in _ENVELOPE}
    nodes, edges = flat.get("nodes"), flat.get("edges")
    if isinstance(nodes, list):
        flat["nodes"] = [_flat_node(node) for node in nodes]
    if isinstance(edges, list):
        flat["edges"] = [_flat_edge(edge) for edge in edges]
    return flat


def _flat_node(node: JsonValue) -> JsonValue:
    """Lifts what is under `base`; the outer id of the wire form is the client's own and equals base.id."""
    base = _at(node, "base")
    if not isinstance(node, dict) or not isinstance(base, dict):
        return node
    return {key: value for key, value in node.items() if key not in ("id", "base")} | base


def _flat_edge(edge: JsonValue) -> JsonValue:
    if not isinstance(edge, dict):
        return edge
    return {_EDGE_NAMES.get(key, key): value for key, value in edge.items()}


def _path(document: JsonObject, where: tuple[int | str, ...]) -> str:
    """A place in the flat form as a path in the form that was sent: down to the value that was sent."""
    path = ""
    value: JsonValue = document
    for part in _as_sent(document, where):
        if not isinstance(value, (dict, list)):
            break
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        value = _at(value, part)
    return path.lstrip(".")


def _as_sent(document: JsonObject, where: tuple[int | str, ...]) -> tuple[int | str, ...]:
    match where:
        case ("nodes" | "edges" as kind, int() as number, str() as name, *rest):
            item = _at(document[kind], number)
            names = _node_names(item, name) if kind == "nodes" else (_edge_name(item, name),)
            return (kind, number, *names, *rest)
        case _:
            return where


def _node_names(node: JsonValue, name: str) -> tuple[str, ...]:
    base = _at(node, "base")
    if not isinstance(base, dict):
        return (name,)
    is_outside = name in _keys(node) and name not in base and name != "id"
    return (name,) if is_outside else ("base", name)


def _edge_name(edge: JsonValue, name: str) -> str:
    written = [key for key in _keys(edge) if _EDGE_NAMES.get(key, key) == name]
    is_wire = any(key in _keys(edge) for key in _WIRE_NAMES.values())
    return written[0] if written else _WIRE_NAMES.get(name, name) if is_wire else name


def _keys(value: JsonValue) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _at(value: JsonValue, part: int | str) -> JsonValue:
    if isinstance(value, list) and isinstance(part, int):
        return value[part]
    return value.get(str(part)) if isinstance(value, dict) else None


def _wire_node(node: Node) -> JsonObject:
    base: JsonObject = {
        "id": node.id,
        "type": node.type,
        "name": node.name,
        "inputSchema": node.input_schema,
        "outputSchema": node.output_schema,
        "config": node.config,
        "connections": list(node.connections),
    }
    if node.validation_logic is not None:
        base["validationLogic"] = node.validation_logic
    return {
        "id": node.id,
        "base": base,
        "position": node.position.model_dump(),
        **_chosen(node, _NODE_OPTIONS),
    }


def _chosen(model: Strict, keys: Iterable[str]) -> JsonObject:
    """Those of the given keys that do not have their default."""
    dumped = model.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=_fields(model, keys))
    return {key: dumped[key] for key in keys if key in dumped}


def _fields(model: Strict, keys: Iterable[str]) -> set[str]:
    wanted = set(keys)
    return {name for name, info in type(model).model_fields.items() if info.alias in wanted}


def _wire_edge(edge: Edge) -> JsonObject:
    wire: JsonObject = {"id": edge.id, "sourceId": edge.source, "targetId": edge.target}
    optional: JsonObject = {"sourceHandleId": edge.source_handle, "targetHandleId": edge.target_handle}
    wire |= {key: value for key, value in optional.items() if value is not None}
    if edge.on is not On.SUCCESS:
        wire["on"] = edge.on.value
    if edge.when is not None:
        wire["when"] = edge.when
    return wire
