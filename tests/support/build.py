"""Short ways to write definitions in tests."""

from __future__ import annotations

from itertools import pairwise

from headrace.graph.json_types import JsonObject, JsonValue


def node(name: str, type: str = "notification", **options: JsonValue) -> JsonObject:
    """A node in the flat form; a notification says its own name."""
    config: JsonValue = options.pop("config", {"template": name} if type == "notification" else {})
    return {"id": name, "type": type, "name": name, "config": config, **options}


def edge(source: str, target: str, branch: str | None = None, **options: JsonValue) -> JsonObject:
    drawn: JsonObject = {"source": source, "target": target, **options}
    return drawn | ({"branch": branch} if branch else {})


def workflow(nodes: list[JsonObject], edges: list[JsonObject], **options: JsonValue) -> JsonObject:
    return {"name": "test", "nodes": list(nodes), "edges": list(edges), **options}


def chain(length: int) -> JsonObject:
    names = [f"n{number}" for number in range(length)]
    edges = [edge(a, b) for a, b in pairwise(names)]
    return workflow([node(name) for name in names], edges)


def if_else(name: str, field: str, above: float) -> JsonObject:
    rule: JsonObject = {">": [{"var": "value"}, above]}
    condition: JsonObject = {
        "id": "c",
        "name": "c",
        "predicates": [{"id": "p", "targetField": field, "validationLogic": rule}],
    }
    return node(name, "ifElse", config={"condition": condition})
