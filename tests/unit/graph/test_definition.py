"""Reading and writing definitions, in the wire form and in the flat form."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidDefinition
from headrace.graph.definition import Definition, parse, to_wire
from headrace.graph.edges import On
from headrace.graph.join import Join, Losers, Rule
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.retry import RetryPolicy
from headrace.graph.settings import OnFailure, seconds
from headrace.graph.validate import validate
from headrace.store.codec import load
from support.build import edge, node, workflow
from support.graphs import Kinds, random_case
from support.rules import RULES

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("0*.json"))

WIRE: JsonObject = {
    "id": "5d5e6c1e-0000-4000-8000-000000000000",
    "name": "Two steps",
    "createdAt": 1700000000000,
    "updatedAt": 1700000000001,
    "nodes": [
        {
            "id": "persisted",
            "base": {
                "id": "one",
                "type": "decision",
                "name": "One",
                "inputSchema": {"type": "object"},
                "outputSchema": {"type": "string"},
                "config": {"decisions": []},
                "validationLogic": {"==": [1, 1]},
                "connections": ["two"],
            },
            "position": {"x": 1.5, "y": -2},
            "retry": {"maxAttempts": 5, "initial": "30s", "max": "2h", "noRetryOn": ["BadInput"]},
            "timeouts": {"attempt": "5m"},
            "allowFailure": True,
            "maxLost": 0,
        },
        {
            "id": "two",
            "base": {"id": "two", "type": "delay", "name": "Two", "config": {"seconds": 1}},
            "join": {"rule": "quorum:1", "onLosers": "cancel"},
        },
    ],
    "edges": [
        {"id": "e1", "sourceId": "one", "targetId": "two", "sourceHandleId": "out-a", "targetHandleId": "in"},
        {"sourceId": "one", "targetId": "two", "on": "failure", "when": {"var": "error"}},
    ],
    "onFailure": "fail_fast",
    "outputs": {"said": "${nodes.two.output}"},
}

FLAT: JsonObject = {
    "name": "Two steps",
    "nodes": [
        {
            "id": "one",
            "type": "decision",
            "name": "One",
            "inputSchema": {"type": "object"},
            "outputSchema": {"type": "string"},
            "config": {"decisions": []},
            "validationLogic": {"==": [1, 1]},
            "connections": ["two"],
            "position": {"x": 1.5, "y": -2},
            "retry": {"maxAttempts": 5, "initial": 30, "max": 7200, "noRetryOn": ["BadInput"]},
            "timeouts": {"attempt": 300},
            "allowFailure": True,
            "maxLost": 0,
        },
        {
            "id": "two",
            "type": "delay",
            "name": "Two",
            "config": {"seconds": 1},
            "join": {"rule": "quorum:1", "onLosers": "cancel"},
        },
    ],
    "edges": [
        {"id": "e1", "source": "one", "target": "two", "branch": "out-a", "targetHandle": "in"},
        {"source": "one", "target": "two", "on": "failure", "when": {"var": "error"}},
    ],
    "onFailure": "fail_fast",
    "outputs": {"said": "${nodes.two.output}"},
}


def problems(document: JsonValue) -> dict[str, str]:
    with pytest.raises(InvalidDefinition) as caught:
        parse(document)
    return {one.path: one.message for one in caught.value.problems}


def with_node(**options: JsonValue) -> JsonObject:
    return workflow([{"id": "a", "type": "delay", **options}], [])


def with_base(base: JsonValue, **outside: JsonValue) -> JsonObject:
    return workflow([{"id": "a", "base": base, **outside}], [])


def with_edge(**one: JsonValue) -> JsonObject:
    return workflow([node("a"), node("b")], [one])


def only_edge(**one: JsonValue) -> tuple[str, str | None]:
    (read,) = parse(with_edge(**one)).edges
    return read.id, read.branch


def test_both_forms_say_the_same() -> None:
    assert parse(WIRE) == parse(FLAT)


def test_every_setting_is_read() -> None:
    definition = parse(WIRE)
    one, two = definition.nodes
    assert (one.id, one.type, one.name, one.position.x, one.position.y) == ("one", "decision", "One", 1.5, -2)
    assert one.retry.policy() == RetryPolicy(
        max_attempts=5, initial=30, max=7200, no_retry_on=frozenset({"BadInput"})
    )
    assert (one.timeouts.attempt, one.allow_failure, one.max_lost, one.is_final) == (300, True, 0, False)
    assert two.join_rule() == Join(Rule.QUORUM, 1, Losers.CANCEL)
    assert [(edge.id, edge.branch, edge.on) for edge in definition.edges] == [
        ("e1", "out-a", On.SUCCESS),
        ("one->two", None, On.FAILURE),
    ]
    assert definition.on_failure is OnFailure.FAIL_FAST
    assert definition.outputs == {"said": "${nodes.two.output}"}


def test_what_is_not_said_has_its_default() -> None:
    one = parse(with_node()).nodes[0]
    assert one.join_rule() == Join(Rule.ALL)
    assert one.retry.policy() == RetryPolicy()
    assert (one.timeouts.attempt, one.max_lost, one.allow_failure, one.is_final) == (300, 3, False, False)
    assert parse(with_node()).on_failure is OnFailure.FINISH_BRANCHES


def test_the_wire_form_is_the_one_that_clients_speak() -> None:
    document = workflow([node("a"), node("b", join="all_done")], [edge("a", "b", "out-x")])
    assert to_wire(parse(document)) == {
        "name": "test",
        "nodes": [
            {
                "id": name,
                "base": {
                    "id": name,
                    "type": "notification",
                    "name": name,
                    "inputSchema": {},
                    "outputSchema": {},
                    "config": {"template": name},
                    "connections": [],
                },
                "position": {"x": 0, "y": 0},
                **options,
            }
            for name, options in (("a", {}), ("b", {"join": "all_done"}))
        ],
        "edges": [{"id": "a->b:out-x", "sourceId": "a", "targetId": "b", "sourceHandleId": "out-x"}],
    }


def test_the_wire_form_keeps_every_setting() -> None:
    wire = to_wire(parse(WIRE))
    assert parse(wire) == parse(WIRE)
    assert wire["nodes"] == to_wire(parse(wire))["nodes"]
    (_, two) = parse(wire).nodes
    assert two.join.on_losers is Losers.CANCEL


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.stem))
def test_the_samples_keep_their_meaning(path: Path) -> None:
    definition = parse(load(path.read_text()))
    assert parse(to_wire(definition)) == definition


SETTINGS = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=5), "type": st.just("delay")},
    optional={
        "name": st.text(max_size=5),
        "config": st.dictionaries(st.text(max_size=3), st.integers() | st.none(), max_size=3),
        "validationLogic": st.none() | st.just({"==": [1, 1]}),
        "connections": st.lists(st.text(max_size=3), max_size=2),
        "position": st.fixed_dictionaries({}, optional={"x": st.floats(-1e6, 1e6), "y": st.integers(-9, 9)}),
        "join": st.sampled_from(
            ["all", "quorum:3", {"rule": "any_failed"}, {"rule": "any_success", "onLosers": "cancel"}]
        ),
        "retry": st.fixed_dictionaries(
            {},
            optional={
                "maxAttempts": st.integers(1, 9),
                "strategy": st.sampled_from(["none", "fixed", "linear", "exponential"]),
                "initial": st.sampled_from(["5s", 0.5]),
                "jitter": st.booleans(),
                "retryOn": st.lists(st.sampled_from(["A", "B"]), max_size=2),
            },
        ),
        "timeouts": st.fixed_dictionaries({}, optional={"attempt": st.sampled_from(["10ms", 7])}),
        "allowFailure": st.booleans(),
        "maxLost": st.integers(0, 9),
        "finally": st.booleans(),
    },
)
ARROWS = st.fixed_dictionaries(
    {"source": st.text(max_size=3), "target": st.text(max_size=3)},
    optional={
        "id": st.text(max_size=3),
        "branch": st.none() | st.sampled_from(["out", "in", "", "out-a"]),
        "targetHandle": st.none() | st.just("in"),
        "on": st.sampled_from(list(On)),
        "when": st.none() | st.booleans() | st.just({"var": "output"}),
    },
)


@given(st.lists(SETTINGS, max_size=3), st.lists(ARROWS, max_size=4), st.sampled_from(list(OnFailure)))
def test_what_is_written_is_read_back(
    nodes: list[JsonObject], edges: list[JsonObject], on_failure: OnFailure
) -> None:
    definition = parse(workflow(nodes, edges, onFailure=on_failure.value))
    assert parse(to_wire(definition)) == definition


@given(st.randoms(use_true_random=False))
def test_random_workflows_are_read_back(rng: random.Random) -> None:
    definition = random_case(rng, Kinds(cancel_losers=True, fail_fast=True)).definition
    assert parse(to_wire(definition)) == definition


@pytest.mark.parametrize(
    ("given_as", "id", "branch"),
    [
        ({}, "a->b", None),
        ({"id": ""}, "a->b", None),
        ({"id": "mine"}, "mine", None),
        ({"branch": "out-true"}, "a->b:out-true", "out-true"),
        ({"id": "mine", "branch": "out-true"}, "mine", "out-true"),
        ({"sourceHandleId": "out"}, "a->b", None),
        ({"sourceHandleId": "in"}, "a->b", None),
        ({"sourceHandleId": ""}, "a->b", None),
        ({"sourceHandleId": None}, "a->b", None),
        ({"sourceHandle": "out-x", "targetHandle": "in"}, "a->b:out-x", "out-x"),
    ],
)
def test_ids_and_labels_of_edges(given_as: JsonObject, id: str, branch: str | None) -> None:
    assert only_edge(source="a", target="b", **given_as) == (id, branch)


def test_handles_are_kept_as_drawn() -> None:
    drawn: JsonObject = {
        "id": "e",
        "sourceId": "a",
        "targetId": "b",
        "sourceHandleId": "out",
        "targetHandleId": "in",
    }
    assert to_wire(parse(with_edge(**drawn)))["edges"] == [drawn]


def test_edges_that_are_drawn_twice_count_once_and_stay() -> None:
    twice = [edge("a", "b", id="x"), edge("a", "b", id="y"), edge("a", "b", on="failure"), edge("b", "a")]
    definition = parse(workflow([node("a"), node("b")], twice))
    assert [one.id for one in definition.distinct_edges()] == ["x", "a->b", "b->a"]
    assert [one.id for one in definition.edges] == ["x", "y", "a->b", "b->a"]


def test_the_outer_id_of_a_wrapped_node_is_the_clients_own() -> None:
    definition = parse(with_base({"id": "inner", "type": "delay"}))
    assert [one.id for one in definition.nodes] == ["inner"]


def test_settings_may_stand_under_base_too() -> None:
    definition = parse(with_base({"id": "a", "type": "delay", "maxLost": 7, "position": {"x": 1}}))
    assert (definition.nodes[0].max_lost, definition.nodes[0].position.x) == (7, 1)


def test_a_decision_without_outcomes_is_valid() -> None:
    definition = parse(
        workflow([node("d", "decision", config={"decisions": []}), node("b")], [edge("d", "b")])
    )
    assert validate(definition, RULES) == []


def test_nothing_is_missing_but_nodes() -> None:
    assert parse({"nodes": []}) == Definition(nodes=())
    assert problems({}) == {"nodes": "is required"}


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_a_workflow_is_an_object(document: JsonValue) -> None:
    assert problems(document) == {"": "a workflow is an object with nodes and edges"}


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({"nodes": 5}, ["nodes"]),
        ({"nodes": [5]}, ["nodes[0]"]),
        ({"nodes": [], "edges": "x"}, ["edges"]),
        ({"nodes": [], "edges": [None]}, ["edges[0]"]),
        ({"nodes": [], "colour": "red"}, ["colour"]),
        ({"nodes": [], "on_failure": "fail_fast"}, ["on_failure"]),
        ({"nodes": [{}]}, ["nodes[0].id", "nodes[0].type"]),
        (with_node(colour="red"), ["nodes[0].colour"]),
        (with_node(allow_failure=True), ["nodes[0].allow_failure"]),
        (with_node(id=""), ["nodes[0].id"]),
        (with_node(position={"z": 1}), ["nodes[0].position.z"]),
        (
            with_node(retry={"maxAttempts": 0, "speed": 1}),
            ["nodes[0].retry.maxAttempts", "nodes[0].retry.speed"],
        ),
        (with_node(base=5), ["nodes[0].base"]),
        (with_base({}), ["nodes[0].base.id", "nodes[0].base.type"]),
        (with_base({"id": "a", "type": 5}), ["nodes[0].base.type"]),
        (with_base({"id": "a", "type": "delay", "colour": 1}), ["nodes[0].base.colour"]),
        (with_base({"id": "a", "type": "delay"}, colour=1), ["nodes[0].colour"]),
        (with_base({"id": "a", "type": "delay"}, retry=None), ["nodes[0].retry"]),
        (with_base({"id": "a", "type": "delay"}, retry={"max": "x"}), ["nodes[0].retry.max"]),
        (with_base({"id": "a", "type": "delay", "join": "x"}), ["nodes[0].base.join"]),
        (with_edge(source="a"), ["edges[0].target"]),
        (with_edge(sourceId="a"), ["edges[0].targetId"]),
        (with_edge(sourceId=1, targetId=2), ["edges[0].sourceId", "edges[0].targetId"]),
        (with_edge(source="a", target="b", branch=1), ["edges[0].branch"]),
        (with_edge(sourceId="a", targetId="b", sourceHandleId=1), ["edges[0].sourceHandleId"]),
        (with_edge(sourceId="a", targetId="b", colour=1), ["edges[0].colour"]),
        (with_edge(source="a", target="b", on="never"), ["edges[0].on"]),
        ({}, ["nodes"]),
    ],
)
def test_a_problem_is_found_where_it_was_sent(document: JsonObject, paths: list[str]) -> None:
    assert sorted(problems(document)) == paths


def test_all_problems_of_shape_are_told_at_once() -> None:
    document = workflow([{"id": "a"}, node("b", maxLost=-1)], [{"sourceId": "a"}], onFailure="cry")
    assert sorted(problems(document)) == [
        "edges[0].targetId",
        "nodes[0].type",
        "nodes[1].maxLost",
        "onFailure",
    ]


@pytest.mark.parametrize(
    ("join", "path", "message"),
    [
        ("most", "nodes[0].join", "unknown join 'most'"),
        ("quorum", "nodes[0].join", "unknown join 'quorum'"),
        (5, "nodes[0].join", "must be an object"),
        ({"rule": "most"}, "nodes[0].join.rule", "unknown join 'most'"),
        ({"onLosers": "cancel"}, "nodes[0].join.rule", "is required"),
        ({"rule": "all", "onLosers": "shoot"}, "nodes[0].join.onLosers", "'let_run' or 'cancel'"),
        ({"rule": "all", "k": 1}, "nodes[0].join.k", "is unknown here"),
    ],
)
def test_a_bad_join_is_one_problem(join: JsonValue, path: str, message: str) -> None:
    found = problems(with_node(join=join))
    assert list(found) == [path]
    assert message in found[path]
    assert not found[path].startswith("Value error")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30),
        ("1.5m", 90),
        ("2h", 7200),
        ("250ms", 0.25),
        ("1 d", 86400),
        (" 5s ", 5),
        (7, 7),
        (0.5, 0.5),
    ],
)
def test_durations(text: JsonValue, expected: float) -> None:
    assert seconds(text) == expected
    assert parse(with_node(timeouts={"attempt": text})).nodes[0].timeouts.attempt == expected


@pytest.mark.parametrize(
    "bad", ["", "s", "5 weeks", "-5s", "0s", 0, -1, "367d", "1e3s", "9" * 400 + "s", None, [1]]
)
def test_bad_durations(bad: JsonValue) -> None:
    assert list(problems(with_node(timeouts={"attempt": bad}))) == ["nodes[0].timeouts.attempt"]
