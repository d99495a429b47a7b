"""A workflow's definition: what people write, store and draw.

Two forms are read: the wire form of SequenceFlow's clients (a node's settings under `base`, edges with
`sourceId`, `targetId`, `sourceHandleId`) and the flat form (`{id, type, name, config}`,
`{source, target, branch}`). One form is written: the wire form.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from headrace.errors import BadExpression, InvalidDefinition, Problem
from headrace.graph.edges import On
from headrace.graph.join import Join, Losers, Rule, parse_join
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.retry import RetryPolicy

_PLAIN_HANDLES = (None, "", "out", "in")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: object) -> object:
    """Reads `30s`, `5m`, `1h` or a number of seconds; other values are left to the type's own check."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _SECONDS[match[2]]
    return value


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=366 * 86400)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class OnFailure(StrEnum):
    """What an unhandled failure does to the rest of its run."""

    FINISH_BRANCHES = "finish_branches"
    FAIL_FAST = "fail_fast"


class Position(_Model):
    """Where the canvas shows a node."""

    x: float = 0
    y: float = 0


class Retry(_Model):
    """How often and when a failed attempt is repeated. Times are seconds, or text as `30s`."""

    max_attempts: int = Field(3, ge=1, le=1_000_000)
    strategy: Literal["none", "fixed", "linear", "exponential"] = "exponential"
    initial: Seconds = 1.0
    multiplier: float = Field(2.0, ge=1, le=1000)
    max: Seconds = 3600.0
    jitter: bool = True
    retry_on: frozenset[str] = frozenset()
    no_retry_on: frozenset[str] = frozenset()

    def policy(self) -> RetryPolicy:
        """The same, for the retry arithmetic."""
        return RetryPolicy(**self.model_dump())


class Timeouts(_Model):
    """attempt: how long one attempt may take, in seconds or as `30s`."""

    attempt: Seconds = 300.0


class JoinObject(_Model):
    """A join with options: `{rule: any_success, onLosers: cancel}`."""

    rule: str
    on_losers: Losers = Losers.LET_RUN


class Node(_Model):
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
    join: str | JoinObject = "all"
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    allow_failure: bool = False
    max_lost: int = Field(3, ge=0, le=1000)
    is_final: bool = Field(False, alias="finally")

    @field_validator("join")
    @classmethod
    def _join_is_known(cls, value: str | JoinObject) -> str | JoinObject:
        try:
            parse_join(value if isinstance(value, str) else value.rule)
        except BadExpression as error:
            raise ValueError(error.message) from error
        return value

    def join_rule(self) -> Join:
        """The join as the engine reads it."""
        if isinstance(self.join, str):
            return parse_join(self.join)
        plain = parse_join(self.join.rule)
        return Join(plain.rule, plain.quorum, self.join.on_losers)


class Edge(_Model):
    """One arrow of a workflow. source_handle: as drawn; `branch` is what it means."""

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

    @property
    def label(self) -> str:
        """The id: as given, else `source->target` or `source->target:branch`."""
        plain = f"{self.source}->{self.target}"
        return self.id or (f"{plain}:{self.branch}" if self.branch else plain)


class Definition(_Model):
    """A whole workflow."""

    name: str = Field("", max_length=255)
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    on_failure: OnFailure = OnFailure.FINISH_BRANCHES
    outputs: JsonObject = Field(default_factory=dict)


_NODE_OPTIONS = ("join", "retry", "timeouts", "allowFailure", "maxLost", "finally")
_BASE_KEYS = (
    "id",
    "type",
    "name",
    "config",
    "inputSchema",
    "outputSchema",
    "validationLogic",
    "connections",
)
_EDGE_NAMES = {
    "sourceId": "source",
    "targetId": "target",
    "sourceHandleId": "sourceHandle",
    "targetHandleId": "targetHandle",
    "branch": "sourceHandle",
}
_ENVELOPE = ("id", "version", "createdAt", "updatedAt")


def parse(document: JsonValue) -> Definition:
    """Reads either form. Raises InvalidDefinition with every problem of shape, each with its path."""
    if not isinstance(document, dict):
        raise InvalidDefinition(problems=[Problem("", "a workflow is an object with nodes and edges")])
    try:
        definition = Definition.model_validate(_flatten(document))
    except ValidationError as error:
        problems = [_problem(document, list(one["loc"]), one["msg"]) for one in error.errors()]
        raise InvalidDefinition(problems=problems) from error
    return definition.model_copy(update={"edges": _once(definition.edges)})


def to_wire(definition: Definition) -> JsonObject:
    """The wire form of a definition, without the keys that only a stored workflow has."""
    wire: JsonObject = {
        "name": definition.name,
        "nodes": [_wire_node(node) for node in definition.nodes],
        "edges": [_wire_edge(edge) for edge in definition.edges],
    }
    if definition.on_failure is not OnFailure.FINISH_BRANCHES:
        wire["onFailure"] = definition.on_failure.value
    if definition.outputs:
        wire["outputs"] = definition.outputs
    return wire


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
    if not isinstance(node, dict) or not isinstance(node.get("base"), dict):
        return node
    outer = {key: value for key, value in node.items() if key not in ("id", "base")}
    base = node["base"]
    return {**base, **outer} if isinstance(base, dict) else node


def _flat_edge(edge: JsonValue) -> JsonValue:
    if not isinstance(edge, dict):
        return edge
    return {_EDGE_NAMES.get(key, key): value for key, value in edge.items()}


def _once(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """Drops repeated edges: the same source, target, label and condition count once."""
    unique: dict[tuple[str, str, str | None, On, str], Edge] = {}
    for edge in edges:
        unique.setdefault((edge.source, edge.target, edge.branch, edge.on, repr(edge.when)), edge)
    return tuple(unique.values())


def _problem(document: JsonObject, where: list[int | str], message: str) -> Problem:
    """A pydantic error as a problem whose path fits the form that was sent."""
    if len(where) > 2 and where[0] == "nodes" and where[2] in _BASE_KEYS:
        nodes = document["nodes"]
        node = nodes[where[1]] if isinstance(nodes, list) and isinstance(where[1], int) else None
        if isinstance(node, dict) and "base" in node:
            where = [*where[:2], "base", *where[2:]]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return Problem(path.lstrip("."), message)


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
    return {"id": node.id, "base": base, "position": node.position.model_dump(), **_options(node)}


def _options(node: Node) -> JsonObject:
    dumped = node.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {key: dumped[key] for key in _NODE_OPTIONS if key in dumped}


def _wire_edge(edge: Edge) -> JsonObject:
    wire: JsonObject = {"id": edge.label, "sourceId": edge.source, "targetId": edge.target}
    optional: JsonObject = {"sourceHandleId": edge.source_handle, "targetHandleId": edge.target_handle}
    wire |= {key: value for key, value in optional.items() if value is not None}
    if edge.on is not On.SUCCESS:
        wire["on"] = edge.on.value
    if edge.when is not None:
        wire["when"] = edge.when
    return wire


__all__ = ["Definition", "Edge", "Join", "Node", "OnFailure", "Rule", "parse", "seconds", "to_wire"]
