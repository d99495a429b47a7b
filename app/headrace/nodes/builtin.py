"""The node types, in palette order. A new one is one file and one line here."""

from __future__ import annotations

from typing import cast

from headrace.nodes import sample_activities
from headrace.nodes.activity import RunActivity
from headrace.nodes.approval import Approval
from headrace.nodes.base import Config, NodeRegistry, NodeType
from headrace.nodes.code import Code
from headrace.nodes.decision import Decision
from headrace.nodes.delay import Delay
from headrace.nodes.get_variable import GetVariable
from headrace.nodes.http_call import HttpCall
from headrace.nodes.http_poll import HttpPoll
from headrace.nodes.if_else import IfElse
from headrace.nodes.inline import Inline
from headrace.nodes.input_text import InputText
from headrace.nodes.log import Log
from headrace.nodes.map_items import MapItems
from headrace.nodes.noop import Noop
from headrace.nodes.notification import Notification
from headrace.nodes.question import Question
from headrace.nodes.repeat import Repeat
from headrace.nodes.set_variable import SetVariable
from headrace.nodes.sub_workflow import SubWorkflow
from headrace.nodes.switch import Switch
from headrace.nodes.terminate import Terminate
from headrace.nodes.transform import Transform
from headrace.nodes.trigger import Trigger
from headrace.nodes.validate import Validate
from headrace.nodes.wait_signal import WaitSignal
from headrace.nodes.wait_until import WaitUntil


def builtin() -> NodeRegistry:
    """Every node type that Headrace brings; `activity` stands for its activities, too."""
    assert sample_activities  # importing them has declared them
    types = (
        InputText(),
        Trigger(),
        Transform(),
        Code(),
        Inline(),
        Validate(),
        Decision(),
        IfElse(),
        Switch(),
        HttpCall(),
        Notification(),
        Log(),
        Delay(),
        WaitUntil(),
        WaitSignal(),
        Approval(),
        Question(),
        HttpPoll(),
        MapItems(),
        Repeat(),
        SubWorkflow(),
        RunActivity(),
        Noop(),
        Terminate(),
        SetVariable(),
        GetVariable(),
    )
    # Each takes its own Config; callers pair a type with what its `config_model` has validated.
    return NodeRegistry(cast("tuple[NodeType[Config], ...]", types))
