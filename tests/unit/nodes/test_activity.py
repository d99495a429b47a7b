"""What is wrong with the config of a node that runs an activity, before it runs."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from headrace import worker_task
from headrace.activities.declaration import Declaration
from headrace.activities.registry import REGISTRY, Registry
from headrace.engine.program import Rules
from headrace.graph.definition import Node
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.activity import Known, RunActivity, run_activity
from headrace.nodes.builtin import builtin


class Tree(BaseModel):
    name: str
    branches: list[Tree] = []


@pytest.fixture
def known() -> Known:
    """As in a process that has heard of the activity, and has not its code."""
    with REGISTRY.restored():

        @worker_task("resize")
        def resize(width: int, url: str, options: dict[str, int] | None = None) -> None: ...

        @worker_task("grow")
        def grow(tree: Tree) -> None: ...

        declared = {
            one.name: Declaration.from_json(one.declaration.as_json())
            for one in REGISTRY
            if one.name in ("resize", "grow")
        }
    return Known(Registry(), declared)


def problems(known: Known, type: str, **config: JsonValue) -> list[tuple[str, str]]:
    rules = Rules(builtin().knowing(run_activity(known)))
    return [(one.path, one.message) for one in rules.problems(Node(id="n", type=type, config=config))]


def both(known: Known, given: JsonObject) -> list[tuple[str, str]]:
    """The same in both ways to write the node, which are wrong in the same way."""
    own = problems(known, "resize", **given)
    named = problems(known, "activity", activity="resize", input=given)
    assert [(path.replace("config.input", "config"), message) for path, message in named] == own
    return own


def test_each_wrong_parameter_is_told_at_its_place(known: Known) -> None:
    assert both(known, {"width": 3, "url": "u"}) == []
    assert both(known, {"width": "wide", "url": "u"}) == [("config.width", "must be of type integer")]
    assert both(known, {"width": 3}) == [("config.url", "is a required property")]
    assert both(known, {"width": 3, "url": "u", "options": {"a": "b"}})[0][0] == "config.options"
    assert both(known, {"width": 3, "url": "u", "other": 1}) == []


def test_what_placeholders_become_is_known_only_later(known: Known) -> None:
    assert both(known, {"width": "${ n }", "url": "{{ a }}/{{ b }}", "options": {"a": "${ b }"}}) == []
    assert problems(known, "activity", activity="resize", input="${ all }") == []
    assert problems(known, "activity", activity="resize", input="all") == [
        ("config.input", "must be an object")
    ]


def test_without_parameters_it_gets_the_nodes_input(known: Known) -> None:
    assert problems(known, "resize") == []
    assert problems(known, "resize", label="a client's own") == []
    assert problems(known, "activity", activity="resize") == []


def test_a_type_that_contains_itself_is_left_to_the_activity(known: Known) -> None:
    assert problems(known, "grow", tree={"name": 1}) == []


def test_an_activity_that_nobody_has_declared_is_a_caution_and_as_a_type_unknown(known: Known) -> None:
    assert problems(known, "activity", activity="nobody", input={"a": 1}) == []
    node = Node(id="n", type="activity", config={"activity": "nobody"})
    rules = Rules(builtin().knowing(run_activity(known)))
    (caution,) = rules.cautions(node)
    assert (caution.path, caution.message) == (
        "config.activity",
        "no activity 'nobody' is known to any worker yet",
    )
    assert rules.cautions(Node(id="n", type="activity", config={"activity": "resize"})) == []
    assert problems(known, "nobody") == [("type", "unknown node type 'nobody'")]


def test_what_this_process_lacks_and_what_is_run_from_its_source() -> None:
    with REGISTRY.restored():

        @worker_task("here")
        def here() -> None: ...

        node = RunActivity(Known(stored=frozenset({"kept"})))
        config = node.config_model.model_validate
        assert node.lacks(config({"activity": "here"})) is None
        assert node.lacks(config({"activity": "kept"})) is None
        assert node.lacks(config({"activity": "elsewhere"})) == "elsewhere"
        assert node.stored_activity(config({"activity": "kept"})) == "kept"
        assert node.stored_activity(config({"activity": "here"})) is None
