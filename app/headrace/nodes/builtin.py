"""The node types, in palette order. A new one is one file and one line here."""

from __future__ import annotations

from typing import cast

from headrace.nodes.base import Config, NodeRegistry, NodeType
from headrace.nodes.decision import Decision
from headrace.nodes.delay import Delay
from headrace.nodes.http_call import HttpCall
from headrace.nodes.if_else import IfElse
from headrace.nodes.input_text import InputText
from headrace.nodes.noop import Noop
from headrace.nodes.notification import Notification
from headrace.nodes.terminate import Terminate


def builtin() -> NodeRegistry:
    """Every node type that Headrace brings."""
    types = (
        InputText(),
        Decision(),
        IfElse(),
        HttpCall(),
        Notification(),
        Delay(),
        Noop(),
        Terminate(),
    )
    # Each takes its own Config; callers pair a type with what its `config_model` has validated.
    return NodeRegistry(cast("tuple[NodeType[Config], ...]", types))
