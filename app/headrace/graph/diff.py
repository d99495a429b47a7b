"""What differs between two versions of a workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace.graph.coercion import MISSING, Missing
from headrace.graph.json_types import JsonObject, JsonValue

_PARTS: Final = ("nodes", "edges")


class Kind(StrEnum):
    """What happened to a value."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. path: as in `config.headers[0].name`. None stands for what is not there."""

    path: str
    kind: Kind
    before: JsonValue = None
    after: JsonValue = None


@dataclass(frozen=True, slots=True)
class Part:
    """What differs among the nodes, or among the edges. changed: by name, never empty lists."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Mapping[str, Sequence[Change]]

    @property
    def is_same(self) -> bool:
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Diff:
    """settings: of the workflow itself, as `name` and `onFailure`."""

    settings: Sequence[Change]
    nodes: Part
    edges: Part

    @property
    def is_same(self) -> bool:
        return not self.settings and self.nodes.is_same and self.edges.is_same


def diff(before: JsonObject, after: JsonObject) -> Diff:
    """Compares two definitions in the wire form. The order of nodes and edges does not count.

    A node is known by its id, an edge by its ends, its branch and its `on`: an edge that was drawn to another
    node is one edge removed and one added.
    """
    return Diff(
        settings=tuple(_changes("", _settings(before), _settings(after))),
        nodes=_part(_nodes(before), _nodes(after)),
        edges=_part(_edges(before), _edges(after)),
    )


def _settings(definition: JsonObject) -> JsonObject:
    return {key: value for key, value in definition.items() if key not in _PARTS}


def _nodes(definition: JsonObject) -> dict[str, JsonObject]:
    flat = [_flat(node) for node in _objects(definition.get("nodes"))]
    return {str(node["id"]): node for node in flat}


def _flat(node: JsonObject) -> JsonObject:
    """The node with what stands under `base` beside the rest, as people write it."""
    base = node.get("base")
    outside = {key: value for key, value in node.items() if key not in ("id", "base")}
    return outside | (base if isinstance(base, dict) else node)


def _edges(definition: JsonObject) -> dict[str, JsonObject]:
    """The edges by name; two of the same name are counted in their order."""
    seen: Counter[str] = Counter()
    named: dict[str, JsonObject] = {}
    for edge in _objects(definition.get("edges")):
        name = _edge_name(edge)
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} #{seen[name]}"] = edge
    return named


def _edge_name(edge: JsonObject) -> str:
    branch, on = edge.get("sourceHandleId"), edge.get("on")
    ends = f"{edge.get('sourceId')}->{edge.get('targetId')}"
    return ends + (f":{branch}" if branch else "") + (f" on {on}" if on else "")


def _objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _part(before: Mapping[str, JsonObject], after: Mapping[str, JsonObject]) -> Part:
    changes = {name: tuple(_changes("", before[name], after[name])) for name in before if name in after}
    return Part(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed={name: found for name, found in changes.items() if found},
    )


def _changes(path: str, before: JsonValue | Missing, after: JsonValue | Missing) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{path}.{key}" if path else key
            yield from _changes(inner, before.get(key, MISSING), after.get(key, MISSING))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _changes(f"{path}[{index}]", _item(before, index), _item(after, index))
    elif isinstance(before, Missing):
        yield Change(path, Kind.ADDED, after=None if isinstance(after, Missing) else after)
    elif isinstance(after, Missing):
        yield Change(path, Kind.REMOVED, before=before)
    elif not _is_same(before, after):
        yield Change(path, Kind.CHANGED, before, after)


def _item(values: list[JsonValue], index: int) -> JsonValue | Missing:
    return values[index] if index < len(values) else MISSING


def _is_same(before: JsonValue, after: JsonValue) -> bool:
    """As JSON tells values apart: `true` is not `1`, but `1.0` is."""
    return before == after and isinstance(before, bool) == isinstance(after, bool)
