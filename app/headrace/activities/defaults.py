"""The options of activities as defaults of the nodes that run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from headrace.activities.options import Defaults
from headrace.graph.definition import Definition, Node
from headrace.graph.settings import Strict

S = TypeVar("S", bound=Strict)

DefaultsOf: TypeAlias = Callable[[Node], Defaults | None]
"""What the activity of a node says; None for nodes that run none, or one that is not known."""


def with_defaults(definition: Definition, defaults_of: DefaultsOf) -> Definition:
    """The definition with what activities say, where its nodes say nothing themselves."""
    nodes = tuple(_node(node, defaults_of(node)) for node in definition.nodes)
    return definition if nodes == definition.nodes else definition.model_copy(update={"nodes": nodes})


def _node(node: Node, defaults: Defaults | None) -> Node:
    if defaults is None:
        return node
    changes = {
        "retry": _merged(defaults.retry, node.retry),
        "timeouts": _merged(defaults.timeouts, node.timeouts),
        "concurrency": node.concurrency or defaults.concurrency,
        "rate": node.rate or defaults.rate,
    }
    return node.model_copy(update=changes)


def _merged(declared: S, own: S) -> S:
    """Setting by setting, the node's own wins."""
    said = {name: getattr(declared, name) for name in declared.model_fields_set}
    own_said = {name: getattr(own, name) for name in own.model_fields_set}
    return declared.model_copy(update={**type(declared)().model_dump(), **said, **own_said})
