"""Names in the graph_config form: one object holds the trigger's data and each node's output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.errors import BadExpression
from headrace.graph.imports.infix import REFERENCE, dotted
from headrace.graph.json_types import JsonValue

# What begins like a reference and names no path is a text there, and must not be a reference here.
_DOLLAR = re.compile(rf"{REFERENCE.pattern}|\$\{{")
_OUTPUT = "_output"
_SIGNAL = "signal_"
_HTTP = {"status_code": "status", "body": "data", "json": "data", "headers": "headers"}


@dataclass(frozen=True, slots=True)
class Names:
    """What paths of the original name here. kinds: of its nodes, by id."""

    kinds: Mapping[str, str]

    def path(self, path: str) -> str:
        """As a template's path: `nodes.<id>.output.<rest>` or `input.<rest>`. Raises BadExpression."""
        node, rest = self._split(path)
        return f"input{rest}" if node is None else f"nodes.{self._key(node)}.output{rest}"

    def reference(self, path: str) -> str:
        """As a value that is null where the path names nothing. Raises BadExpression."""
        return f"${{{self.path(path)}?}}"

    def filled(self, value: JsonValue) -> JsonValue:
        """A value with the references in its texts, as `${path}`; alone, one keeps its type.

        Raises BadExpression.
        """
        match value:
            case str():
                return _DOLLAR.sub(lambda match: self.reference(match[1]) if match[1] else "$${", value)
            case list():
                return [self.filled(one) for one in value]
            case dict():
                return {key: self.filled(one) for key, one in value.items()}
            case _:
                return value

    def text(self, text: str) -> str:
        """A text that is read for `{{ path }}` only; what is missing leaves a gap. Raises BadExpression."""
        return REFERENCE.sub(lambda match: f"{{{{{self.path(match[1])}}}}}", text)

    def text_of_call(self, text: str) -> str:
        """The same for one that is read for `${ path }` too. Raises BadExpression."""
        return self.text(text).replace("${", "$${")

    def on_edge(self, path: str, source: str) -> str:
        """As a path in the condition of an edge from `source`. Raises BadExpression."""
        node, rest = self._split(path)
        if node is None:
            return f"run.input{rest}"
        if node != source:
            raise BadExpression(f"an edge sees the output of its source only, not of '{node}'")
        return f"output{rest}"

    def in_run(self, path: str) -> JsonValue:
        """As json-logic where only the run's input can be seen. Raises BadExpression."""
        node, rest = self._split(path)
        if node is not None:
            raise BadExpression(f"the output of '{node}' cannot be seen there")
        return {"var": f"run.input{rest}"}

    def _split(self, path: str) -> tuple[str | None, str]:
        """The node whose output a path names, or None, and the rest of the path with its dot."""
        plain = dotted(path).removeprefix("$.").removeprefix("data.")
        first, dot, rest = plain.partition(".")
        node = first.removesuffix(_OUTPUT)
        if first.startswith(_SIGNAL):
            raise BadExpression(f"'{first}' is a signal: wait for it with a waitSignal node")
        if node == first or node not in self.kinds:
            return None, f".{plain}"
        if self.kinds[node] == "http_request":
            field, *deeper = rest.split(".")
            if field and field not in _HTTP:
                raise BadExpression(f"an apiCall's output has no '{field}'")
            rest = ".".join(filter(None, [_HTTP.get(field, ""), *deeper]))
        return node, dot + rest

    @staticmethod
    def _key(node: str) -> str:
        return node if node.replace("_", "").replace("-", "").isalnum() else f'["{node}"]'
