"""A config that is wrong: each fault at its place, in words of ours, whatever the node type."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidDefinition, Problem
from headrace.graph.definition import Node, parse
from headrace.graph.json_types import JsonValue
from headrace.graph.validate import validate
from headrace.nodes.base import Config, NodeType
from headrace.nodes.builtin import builtin
from support.rules import RULES

TYPES = list(builtin())
# What only somebody who knows pydantic or Python can read.
JARGON = re.compile(
    r"Input should|Field required|String should|Extra inputs|Value error|tuple|dictionary|instance of"
)
WRONG: list[JsonValue] = [{"bad": [1]}, [{"bad": 1}], "bad", "", -1, 1e300, True, [None]]


def found(kind: NodeType[Config], config: dict[str, JsonValue]) -> list[Problem]:
    return list(RULES.problems(Node(id="n", type=kind.type, config=config)))


def settings() -> list[tuple[NodeType[Config], str]]:
    return [(kind, name) for kind in TYPES for name in kind.config_model.model_json_schema()["properties"]]


@pytest.mark.parametrize(
    ("kind", "name"), settings(), ids=lambda one: one if isinstance(one, str) else one.type
)
def test_each_wrong_setting_is_told_in_words_at_its_place(kind: NodeType[Config], name: str) -> None:
    before = {problem.path for problem in found(kind, {})}
    for value in WRONG:
        for problem in found(kind, {name: value}):
            assert not JARGON.search(problem.message), problem
            assert not re.search(r"\.\d|\.$|\.(str|int|float|bool)$|function", problem.path), problem
            assert problem.path.startswith("config"), problem
            if problem.path not in before:
                assert problem.message


@pytest.mark.parametrize(
    ("type", "config", "path"),
    [
        ("switch", {"cases": [{"id": 1}]}, "config.cases[0].id"),
        ("decision", {"decisions": [{"name": "no id"}]}, "config.decisions[0].id"),
        ("apiCall", {"headers": [{"key": "A", "value": {}}]}, "config.headers[0].value"),
        ("apiCall", {"expectedStatusCodes": [200, "ok"]}, "config.expectedStatusCodes[1]"),
        ("delay", {"delayValue": {}}, "config.delayValue"),
        ("repeat", {"for": 1, "while": True, "body": {"type": "noop"}}, "config"),
        ("map", {"items": [1]}, "config.body"),
    ],
)
def test_where(type: str, config: dict[str, JsonValue], path: str) -> None:
    [kind] = [one for one in TYPES if one.type == type]
    assert [problem.path for problem in found(kind, config)] == [path]


NAMES = st.sampled_from(["id", "type", "nodes", "edges", "when", "values", "var", "==", "rule", "key", "a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
NODE_SETTINGS = st.sampled_from(
    [
        *("join", "retry", "timeouts", "cache", "concurrency", "rate", "priority", "allowFailure", "maxLost"),
        *("finally", "compensateWith", "queue", "config", "position", "name", "id", "type", "base"),
    ]
)


@given(st.sampled_from(settings()), JSON)
def test_any_value_is_a_setting_or_refused(which: tuple[NodeType[Config], str], value: JsonValue) -> None:
    kind, name = which
    assert all(problem.message for problem in found(kind, {name: value}))


@given(NODE_SETTINGS, JSON, st.sampled_from(["on", "when", "branch", "source", "target", "id"]), JSON)
def test_any_definition_is_read_or_refused(
    name: str, value: JsonValue, edge_name: str, edge_value: JsonValue
) -> None:
    first: dict[str, JsonValue] = {"id": "a", "type": "noop", name: value}
    edge: dict[str, JsonValue] = {"source": "a", "target": "b", edge_name: edge_value}
    try:
        problems = validate(parse({"nodes": [first, {"id": "b", "type": "noop"}], "edges": [edge]}), RULES)
    except InvalidDefinition as refused:
        problems = list(refused.problems)
    assert all(problem.message and not JARGON.search(problem.message) for problem in problems)
