"""The graph_config form: workflows of a worker that polls its executions from a table.

`{nodes: [{node_id, node_type, position_x, position_y, config}], edges: [{from, to, branch | condition}],
entry_node_id}`, bare or under `graph_config` beside the workflow's name. Every node and edge keeps its place
in its list, so that later problems of the definition name the same place.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.errors import InvalidDefinition, Problem
from headrace.graph.imports.findings import Findings, Imported, Settings
from headrace.graph.imports.graph_config_names import Names
from headrace.graph.imports.graph_config_nodes import Converted, convert
from headrace.graph.json_types import JsonObject, JsonValue

FORMAT = "graph_config"
_KEPT_BY_THE_SERVER = ("id", "version", "owner_id", "created_at", "updated_at", "is_active")
_ON_FAILURE = ("error", "failure", "failed", "catch")


def read_graph_config(document: JsonValue) -> Imported:
    """The definition of a workflow in the graph_config form. Raises InvalidDefinition with every problem."""
    if not isinstance(document, dict):
        raise InvalidDefinition(problems=[Problem("", "a workflow is an object with nodes and edges")])
    findings = Findings()
    inner = document.get(FORMAT)
    is_inside = isinstance(inner, dict)
    outer = Settings(document, "", findings)
    graph = Settings(inner, FORMAT, findings) if isinstance(inner, dict) else outer
    flat = _Reader(graph, findings).flat()
    name = outer.take("name")
    outer.take(FORMAT, *_KEPT_BY_THE_SERVER)
    _tell_of_triggers(outer, graph)
    for settings in (outer, graph) if is_inside else (graph,):
        settings.leave()
    if findings.problems:
        raise InvalidDefinition(problems=findings.problems)
    return Imported(flat if name is None else {"name": name, **flat}, findings.notes)


def _tell_of_triggers(outer: Settings, graph: Settings) -> None:
    trigger = outer.take("trigger_config")
    if isinstance(trigger, dict) and trigger.get("type", "manual") != "manual":
        outer.note("trigger_config", "nothing starts by it", "create a schedule or a webhook")
    if graph.take("dependencies"):
        graph.note("dependencies", "other workflows are not waited for", "use a subWorkflow node")


class _Reader:
    def __init__(self, graph: Settings, findings: Findings) -> None:
        self.graph, self.findings = graph, findings
        self.nodes = self._items("nodes")
        self.edges = self._items("edges")
        self.ids = [node.text("node_id", "id") for node in self.nodes]
        kinds = [node.text("node_type", "type") for node in self.nodes]
        self.kinds = dict(zip(self.ids, kinds, strict=True))

    def flat(self) -> JsonObject:
        converted = [self._node(node) for node in self.nodes]
        by_id = dict(zip(self.ids, converted, strict=True))
        edges = [self._edge(edge, by_id) for edge in self.edges]
        self._check_entry(edges)
        for settings in (*self.nodes, *self.edges):
            settings.leave()
        nodes: list[JsonValue] = [one.node for one in converted]
        return {"nodes": nodes, "edges": list[JsonValue](edges)}

    def _items(self, name: str) -> list[Settings]:
        given = self.graph.take(name, default=[])
        if not isinstance(given, list):
            self.graph.refuse(name, "a list is expected")
            return []
        prefix = f"{self.graph.path}.{name}".removeprefix(".")
        return [self._item(item, f"{prefix}[{number}]") for number, item in enumerate(given)]

    def _item(self, item: JsonValue, path: str) -> Settings:
        settings = Settings(item if isinstance(item, dict) else {}, path, self.findings)
        if not isinstance(item, dict):
            settings.refuse("", "an object is expected")
        return settings

    def _node(self, node: Settings) -> Converted:
        node_id, kind = node.text("node_id", "id"), node.text("node_type", "type")
        config = node.take("config", default={})
        if not isinstance(config, dict):
            node.refuse("config", "an object is expected")
            config = {}
        settings = Settings(config, f"{node.path}.config", self.findings)
        converted = convert(kind, settings, Names(self.kinds))
        position = node.take("position")
        x, y = node.take("position_x", default=0), node.take("position_y", default=0)
        written: JsonObject = {
            "id": node_id,
            "name": node.take("name", "label") or settings.take("name", "label") or node_id,
            "position": position if isinstance(position, dict) else {"x": x, "y": y},
            **converted.node,
        }
        entering = sum(edge.take("to", "target") == node_id for edge in self.edges)
        written |= _join(settings, entering)
        settings.leave()
        return Converted(written, converted.labels)

    def _edge(self, edge: Settings, nodes: dict[str, Converted]) -> JsonObject:
        source, target = edge.text("from", "source"), edge.text("to", "target")
        written: JsonObject = {"source": source, "target": target}
        label = edge.take("branch", "condition")
        if isinstance(label, bool):
            label = "true" if label else "false"
        if label in (None, ""):
            return written
        if not isinstance(label, str):
            edge.refuse("branch", "a text is expected")
            return written
        labels = nodes[source].labels if source in nodes else {}
        if label in labels:
            return written | {"branch": labels[label]}
        if label in _ON_FAILURE:
            return written | {"on": "failure"}
        if "branch" not in edge.values:
            return written | self._when(edge, label, source)
        known = ", ".join(labels) or "none"
        edge.refuse("branch", f"node '{source}' has no branch '{label}'", f"known: {known}")
        return written

    def _when(self, edge: Settings, text: str, source: str) -> JsonObject:
        names = Names(self.kinds)
        return {"when": edge.rule("condition", text, lambda path: {"var": names.on_edge(path, source)})}

    def _check_entry(self, edges: list[JsonObject]) -> None:
        """There, only what the entry leads to runs; here, all nodes without an incoming edge begin."""
        entry = self.graph.take("entry_node_id", default=self.ids[0] if self.ids else "")
        if self.ids and entry not in self.ids:
            self.graph.refuse("entry_node_id", f"there is no node '{entry}'")
            return
        for number in self._other_roots(edges, entry):
            self.nodes[number].refuse(
                "node_id",
                f"node '{self.ids[number]}' is not reached from the entry '{entry}'",
                "here it would begin with the run: connect it or remove it",
            )

    def _other_roots(self, edges: list[JsonObject], entry: JsonValue) -> Iterator[int]:
        entered = {edge["target"] for edge in edges if isinstance(edge["target"], str)}
        return (number for number, name in enumerate(self.ids) if name not in entered and name != entry)


def _join(settings: Settings, entering: int) -> JsonObject:
    """The join of a node where branches meet; there it is a setting of parallel nodes."""
    mode = settings.take("parallel_wait_mode")
    count = settings.take("parallel_wait_n")
    if settings.take("parallel_aggregation", default="merge") != "merge":
        settings.refuse(
            "parallel_aggregation", "only merge is done by itself", "collect with a transform node"
        )
    if mode in (None, "all"):
        return {}
    if entering < 2:
        settings.refuse("parallel_wait_mode", "no branches meet at this node", "set `join` where they do")
        return {}
    joins = {"any": "any_success", "n_of_m": f"quorum:{count}"}
    if mode not in joins:
        settings.refuse("parallel_wait_mode", f"'{mode}' is unknown", "known: all, any, n_of_m")
        return {}
    return {"join": joins[str(mode)]}
