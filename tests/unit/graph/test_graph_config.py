"""Workflows in the graph_config form, read into ours."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import pytest

from headrace.errors import InvalidDefinition, Problem
from headrace.graph.definition import Definition, parse
from headrace.graph.imports.findings import Imported
from headrace.graph.imports.formats import Format, read_foreign
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.validate import require_valid
from support.rules import RULES

SIGNAL = "'signal_x' is a signal: wait for it with a waitSignal node"
TRIGGER: JsonObject = {"node_id": "t", "node_type": "trigger", "config": {}}
FETCH: JsonObject = {"node_id": "fetch", "node_type": "http_request", "config": {"url": "http://x.example"}}
CONDITION: JsonObject = {"node_id": "c", "node_type": "condition", "config": {"condition": "${amount} > 5"}}
SAY: JsonObject = {"node_id": "say", "node_type": "notification", "config": {"message": "Hi"}}


def step(kind: str, **config: JsonValue) -> JsonObject:
    return {"node_id": "n", "node_type": kind, "config": config}


def arrow(source: str, target: str, **more: JsonValue) -> JsonObject:
    return {"from": source, "to": target, **more}


def graph(nodes: list[JsonObject], edges: list[JsonObject] | None = None, **more: JsonValue) -> JsonObject:
    """Chained when no edges are given."""
    ids = [str(one["node_id"]) for one in nodes]
    chained = [arrow(a, b) for a, b in pairwise(ids)]
    drawn = chained if edges is None else edges
    return {"name": "Old", "nodes": list[JsonValue](nodes), "edges": list[JsonValue](drawn), **more}


def read(document: JsonValue) -> Imported:
    return read_foreign(Format.GRAPH_CONFIG, document)


def valid(document: JsonValue) -> Definition:
    definition = parse(read(document).document)
    require_valid(definition, RULES)
    return definition


def one_node(node: JsonObject, *before: JsonObject) -> tuple[str, JsonObject]:
    """The type and config that a node gets behind others."""
    last = valid(graph([TRIGGER, *before, node])).nodes[-1]
    return last.type, last.config


def problems(document: JsonValue) -> list[Problem]:
    with pytest.raises(InvalidDefinition) as refused:
        read(document)
    return refused.value.problems


def problem_of(node: JsonObject, *before: JsonObject) -> Problem:
    [problem] = problems(graph([TRIGGER, *before, node]))
    return problem


def test_a_whole_workflow() -> None:
    nodes = [
        TRIGGER | {"position_x": 10, "position_y": 20.5, "name": "Begin"},
        FETCH,
        {
            "node_id": "c",
            "node_type": "condition",
            "config": {
                "condition": "${fetch_output.json.total} > 100 && '${status}' === 'open'",
                "label": "Big?",
            },
        },
        step("human_approval", approval_message="OK?", approval_options=["yes", "no"]),
        SAY,
    ]
    edges = [
        arrow("t", "fetch"),
        arrow("fetch", "c"),
        arrow("c", "n", branch="true"),
        arrow("c", "say", condition="false"),
        arrow("n", "say", branch="yes"),
        arrow("fetch", "say", branch="error"),
    ]
    inner = graph(nodes, edges, entry_node_id="t")
    del inner["name"]
    definition = valid({"name": "Orders", "graph_config": inner, "id": "7", "is_active": True, "version": 3})
    assert definition.name == "Orders"
    assert [node.type for node in definition.nodes] == [
        "trigger",
        "apiCall",
        "switch",
        "approval",
        "notification",
    ]
    assert [node.name for node in definition.nodes] == ["Begin", "fetch", "Big?", "n", "say"]
    assert (definition.nodes[0].position.x, definition.nodes[0].position.y) == (10, 20.5)
    assert definition.nodes[2].config == {
        "value": {"v0": "${nodes.fetch.output.data.total?}", "v1": "${input.status?}"},
        "cases": [
            {
                "id": "true",
                "when": {
                    "and": [{">": [{"var": "value.v0"}, 100]}, {"===": [{"var": "value.v1"}, "open"]}],
                },
            }
        ],
        "default": True,
    }
    assert [(edge.branch, edge.on.value) for edge in definition.edges] == [
        (None, "success"),
        (None, "success"),
        ("out-true", "success"),
        ("out-default", "success"),
        ("out-yes", "success"),
        (None, "failure"),
    ]


@pytest.mark.parametrize(
    ("node", "kind", "config"),
    [
        (
            step("http_request", method="POST", url="http://x", headers={"A": "b"}, body="{}", timeout="5"),
            "apiCall",
            {
                "method": "POST",
                "url": "http://x",
                "headers": {"A": "b"},
                "bodyTemplate": "{}",
                "timeoutMs": 5000,
                "failOnError": True,
                "expectedStatusCodes": [200, 201, 202, 203, 204, 205, 206, 207, 208, 226],
            },
        ),
        (
            step("sub_workflow", workflow_id="w1"),
            "subWorkflow",
            {"workflow": "w1", "wait": False},
        ),
        (
            step(
                "sub_workflow",
                workflow_id="w1",
                wait_for_completion=True,
                input_data={"a": "${x}", "b": ["${not a path}"], "c": 1},
            ),
            "subWorkflow",
            {
                "workflow": "w1",
                "wait": True,
                "timeout": 3600,
                "input": {"a": "${input.x?}", "b": ["$${not a path}"], "c": 1},
            },
        ),
        (step("delay", delay_seconds=5), "delay", {"delayType": "seconds", "delayValue": 5}),
        (
            step("wait", delay_type="until_time", target_time="2027-01-01T00:00:00Z"),
            "waitUntil",
            {"time": "2027-01-01T00:00:00Z"},
        ),
        (
            step("wait", delay_type="until_condition", condition_expression="${data.ready} == true"),
            "waitUntil",
            {"condition": {"==": [{"var": "run.input.ready"}, True]}},
        ),
        (
            step(
                "set_variable", variable_name="v", variable_value="${fetch_output}", variable_scope="workflow"
            ),
            "setVariable",
            {"name": "v", "value": "${nodes.fetch.output?}"},
        ),
        (
            step("get_variable", variable_name="v", default_value=0),
            "getVariable",
            {"name": "v", "default": 0},
        ),
        (
            step("human_approval", timeout_seconds=60),
            "approval",
            {"message": "", "options": ["approve", "reject"], "timeout": 60},
        ),
        (step("notification", subject="S", message="M"), "notification", {"template": "S\n\nM"}),
        (
            step("map", input_array="fetch_output.json.rows", map_expression="x => x.price * 2"),
            "transform",
            {
                "operation": "map",
                "expression": {"*": [{"var": "item.price"}, 2]},
                "data": "${nodes.fetch.output.data.rows?}",
            },
        ),
        (
            step("filter", input_array=[1, 2], filter_condition="item > 1"),
            "transform",
            {"operation": "filter", "expression": {">": [{"var": "item"}, 1]}, "data": [1, 2]},
        ),
        (
            step("reduce", reduce_function="lambda sum, one: sum + one", initial_value=0),
            "transform",
            {
                "operation": "reduce",
                "expression": {"+": [{"var": "accumulator"}, {"var": "item"}]},
                "initialValue": 0,
            },
        ),
        (
            step("reduce", reduce_function="acc + x"),
            "transform",
            {
                "operation": "reduce",
                "expression": {"+": [{"var": "accumulator"}, {"var": "item"}]},
                "initialValue": None,
            },
        ),
        (
            step("merge", merge_strategy="array", input_sources=["fetch", "${list}"]),
            "transform",
            {
                "operation": "merge",
                "mergeStrategy": "array",
                "sources": ["${nodes.fetch.output?}", "${input.list?}"],
            },
        ),
        (
            step("split", split_strategy="by_key", split_config={"key": "city"}),
            "transform",
            {"operation": "split", "splitStrategy": "by_key", "key": "city"},
        ),
        (
            step("split", split_config={"size": 10}),
            "transform",
            {"operation": "split", "splitStrategy": "by_size", "size": 10},
        ),
        (
            step("split", split_strategy="by_condition", split_config={"condition": "item.ok"}),
            "transform",
            {"operation": "split", "splitStrategy": "by_condition", "expression": {"var": "item.ok"}},
        ),
        (
            step("condition", condition="$.fetch_output.status_code", condition_type="jsonpath"),
            "switch",
            {
                "value": {"v0": "${nodes.fetch.output.status?}"},
                "cases": [{"id": "true", "when": {"var": "value.v0"}}],
                "default": True,
            },
        ),
        (
            step("if", condition="a > 1 and a < 5"),
            "switch",
            {
                "value": {"v0": "${input.a?}"},
                "cases": [
                    {
                        "id": "true",
                        "when": {"and": [{">": [{"var": "value.v0"}, 1]}, {"<": [{"var": "value.v0"}, 5]}]},
                    }
                ],
                "default": True,
            },
        ),
        (
            step("trigger", trigger_type="manual"),
            "trigger",
            {"triggerType": "manual"},
        ),
    ],
)
def test_node_types(node: JsonObject, kind: str, config: JsonObject) -> None:
    assert one_node(node, FETCH) == (kind, config)


@pytest.mark.parametrize(
    ("node", "setting", "written"),
    [
        (
            step("http_request", url="http://x/${data.id}?a=${a b}"),
            "url",
            "http://x/{{input.id}}?a=$${a b}",
        ),
        (
            step("http_request", url="http://x", headers={"A": "Bearer ${fetch_output.json.t}"}),
            "headers",
            {"A": "Bearer {{nodes.fetch.output.data.t}}"},
        ),
        (
            step("http_request", url="http://x", body='{"id": ${id}}'),
            "bodyTemplate",
            '{"id": {{input.id}}}',
        ),
        (
            step("notification", subject="S ${s}", message="${rows[0].name} ${a b}"),
            "template",
            "S {{input.s}}\n\n{{input.rows.0.name}} ${a b}",
        ),
        (step("human_approval", approval_message="Pay ${sum}?"), "message", "Pay {{input.sum}}?"),
        (step("wait", delay_type="until_time", target_time="${at}"), "time", "{{input.at}}"),
        (
            step("set_variable", variable_name="v", variable_value="No. ${id} ${a b}"),
            "value",
            "No. ${input.id?} $${a b}",
        ),
        (step("sub_workflow", workflow_id="${which}"), "workflow", "${input.which?}"),
        (step("reduce", reduce_function="acc + x", initial_value="${n}"), "initialValue", "${input.n?}"),
    ],
)
def test_references_in_texts(node: JsonObject, setting: str, written: JsonValue) -> None:
    assert one_node(node, FETCH)[1][setting] == written


def test_a_list_is_named_by_one_path() -> None:
    problem = problem_of(step("map", input_array="${a} ${b}", map_expression="item"))
    assert (problem.path, problem.message) == ("nodes[1].config.input_array", "`${a} ${b}` is no path")


def test_headers_are_an_object() -> None:
    problem = problem_of(step("http_request", url="http://x", headers=["A: b"]))
    assert (problem.path, problem.message) == ("nodes[1].config.headers", "an object is expected")


def test_a_body_that_is_no_text() -> None:
    _, config = one_node(step("http_request", url="http://x", body={"id": "${id}"}), FETCH)
    assert config["body"] == {"id": "${input.id?}"}


@pytest.mark.parametrize(
    ("cases", "branch", "values"),
    [
        (["paid", "open"], "paid", [["paid"], ["open"]]),
        ([{"value": "paid", "branch": "ship"}, {"value": "open"}], "ship", [["paid"], ["open"]]),
        ({"paid": "ship", "done": "ship"}, "done", [["paid", "done"]]),
        ([1, 2], "1", [[1], [2]]),
    ],
)
def test_a_switch(cases: JsonValue, branch: str, values: JsonValue) -> None:
    node = step("switch", switch_expression="${fetch_output.json.state}", cases=cases)
    edges = [
        arrow("t", "fetch"),
        arrow("fetch", "n"),
        arrow("n", "say", branch=branch),
        arrow("n", "say", branch="default"),
    ]
    definition = valid(graph([TRIGGER, FETCH, node, SAY], edges))
    config = definition.nodes[2].config
    assert config["value"] == "${nodes.fetch.output.data.state?}"
    assert [cast(JsonObject, case)["values"] for case in cast(list[JsonValue], config["cases"])] == values
    assert definition.edges[3].branch == "out-default"
    assert (
        definition.edges[2].branch
        == f"out-{cast(JsonObject, cast(list[JsonValue], config['cases'])[0])['id']}"
    )


def test_a_condition_of_an_edge() -> None:
    nodes = [TRIGGER, FETCH, SAY]
    edges = [
        arrow("t", "fetch", condition="${data.amount} >= 5"),
        arrow("fetch", "say", condition="${fetch_output.status_code} == 200"),
    ]
    first, second = valid(graph(nodes, edges)).edges
    assert first.when == {">=": [{"var": "run.input.amount"}, 5]}
    assert second.when == {"==": [{"var": "output.status"}, 200]}
    edges[1] = arrow("fetch", "say", condition="${t_output.x} == 1")
    [problem] = problems(graph(nodes, edges))
    assert problem.path == "edges[1].condition"
    assert "an edge sees the output of its source only, not of 't'" in problem.message


def test_branches_as_booleans_and_none() -> None:
    nodes = [TRIGGER, CONDITION, SAY]
    edges = [arrow("t", "c", branch=""), arrow("c", "say", branch=True), arrow("c", "say", branch=False)]
    branches = [edge.branch for edge in valid(graph(nodes, edges)).edges]
    assert branches == [None, "out-true", "out-default"]


@pytest.mark.parametrize(
    ("settings", "join"),
    [
        ({}, "all"),
        ({"parallel_wait_mode": "all", "parallel_aggregation": "merge"}, "all"),
        ({"parallel_wait_mode": "any"}, "any_success"),
        ({"parallel_wait_mode": "n_of_m", "parallel_wait_n": 2}, "quorum:2"),
    ],
)
def test_waiting_for_branches(settings: JsonObject, join: str) -> None:
    last = SAY | {"config": settings}
    nodes = [TRIGGER, FETCH, CONDITION, last]
    edges = [arrow("t", "fetch"), arrow("t", "c"), arrow("fetch", "say"), arrow("c", "say")]
    assert valid(graph(nodes, edges)).nodes[3].join.rule == join


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"parallel_wait_mode": "any"}, "parallel_wait_mode", "no branches meet at this node"),
        ({"parallel_aggregation": "array"}, "parallel_aggregation", "only merge is done by itself"),
    ],
)
def test_waiting_where_nothing_meets(settings: JsonObject, path: str, message: str) -> None:
    problem = problem_of(SAY | {"config": settings})
    assert (problem.path, problem.message) == (f"nodes[1].config.{path}", message)


def test_an_unknown_way_of_waiting() -> None:
    last = SAY | {"config": {"parallel_wait_mode": "most"}}
    [problem] = problems(graph([TRIGGER, last], [arrow("t", "say"), arrow("t", "say", branch="error")]))
    assert problem.message == "'most' is unknown"


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("code", "write it as an activity"),
        ("ai_prompt", "call the service with an apiCall node"),
        ("osint", "call the service with an apiCall node"),
        ("loop", "put what is repeated into the body"),
        ("break", "use breakKey"),
        ("try", "draw an edge `on: failure`"),
        ("finally", "set `finally`"),
        ("nonsense", "known: condition, delay, filter,"),
    ],
)
def test_what_has_no_counterpart_is_a_problem(kind: str, hint: str) -> None:
    problem = problem_of(step(kind, code="print(1)", anything=1))
    assert (problem.path, problem.message) == (
        "nodes[1].node_type",
        f"a node of type '{kind}' has no counterpart",
    )
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    ("node", "path", "message"),
    [
        (
            step("if", condition="eval(x)"),
            "condition",
            "`eval(x)` has no counterpart: 'eval(...)' calls a function",
        ),
        (
            step("if", condition="${fetch_output.cookies} == 1"),
            "condition",
            "an apiCall's output has no 'cookies'",
        ),
        (step("if", condition="signal_x", condition_type="jsonpath"), "condition", SIGNAL),
        (step("if", condition=5), "condition", "a text is expected"),
        (step("wait", delay_type="weeks"), "delay_type", "'weeks' is unknown"),
        (step("wait", delay_seconds="soon"), "delay_seconds", "a number of at least 0 is expected"),
        (step("wait", delay_seconds=[1]), "delay_seconds", "a number of at least 0 is expected"),
        (step("wait", delay_seconds=-1), "delay_seconds", "a number of at least 0 is expected"),
        (
            step("wait", delay_type="until_condition", condition_expression="fetch_output.json == 1"),
            "condition_expression",
            "the output of 'fetch' cannot be seen there",
        ),
        (step("switch", switch_expression="a + 1", cases=["1"]), "switch_expression", "`a + 1` computes"),
        (step("switch", switch_expression="a ?", cases=["1"]), "switch_expression", "'?' cannot be read"),
        (step("switch", switch_expression="a", cases="paid"), "cases", "a list or an object is expected"),
        (
            step("map", map_expression="(a, b, c) => a"),
            "map_expression",
            "the function has more than 2 parameters",
        ),
        (
            step("map", map_expression="y"),
            "map_expression",
            "'y' is not known there; known are item, index, acc, x, i",
        ),
        (step("map", map_expression="item", input_array="signal_x"), "input_array", SIGNAL),
        (step("merge", input_sources="a"), "input_sources", "a list is expected"),
        (step("split", split_strategy="by_luck"), "split_strategy", "'by_luck' is unknown"),
        (step("set_variable", variable_name="v", variable_value="${signal_x}"), "variable_value", SIGNAL),
    ],
)
def test_settings_without_a_counterpart(node: JsonObject, path: str, message: str) -> None:
    found = problems(graph([TRIGGER, FETCH, node]))
    assert found[0].path == f"nodes[2].config.{path}"
    assert found[0].message.endswith(message)


def test_what_will_be_otherwise_is_noted() -> None:
    nodes = [
        TRIGGER | {"config": {"trigger_type": "schedule", "cron_expression": "0 8 * * *"}},
        step("sub_workflow", workflow_id="w"),
        step("set_variable", variable_name="v", variable_scope="loop") | {"node_id": "v", "colour": "red"},
        SAY
        | {"config": {"message": "Hi", "channel": "email", "recipient": "a@b.example", "bcc": "c", "cc": ""}},
        step("merge") | {"node_id": "m"},
    ]
    notes = read(
        {
            "name": "Old",
            "description": "of old",
            "trigger_config": {"type": "webhook"},
            "graph_config": graph(nodes, dependencies=["w2"]) | {"zoom": 2, "name": ""},
        }
    ).notes
    assert {one.path: one.message for one in notes} == {
        "graph_config.nodes[0].config.trigger_type": "nothing starts by it: schedule",
        "graph_config.nodes[1].config.workflow_id": "a workflow with the id or name 'w' must be here",
        "graph_config.nodes[2].config.variable_scope": "the variable is the whole run's, not only of a loop",
        "graph_config.nodes[2].colour": "the setting 'colour' has no counterpart and is left out",
        "graph_config.nodes[3].config.channel": "written into the run's log, not sent: email to a@b.example",
        "graph_config.nodes[3].config.bcc": "the setting 'bcc' has no counterpart and is left out",
        "graph_config.nodes[4].config": "it merges the list that is its input",
        "graph_config.dependencies": "other workflows are not waited for",
        "graph_config.zoom": "the setting 'zoom' has no counterpart and is left out",
        "trigger_config": "nothing starts by it",
        "description": "the setting 'description' has no counterpart and is left out",
    }


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ([], "", "a workflow is an object with nodes and edges"),
        ({"nodes": {}}, "nodes", "a list is expected"),
        ({"nodes": [5]}, "nodes[0]", "an object is expected"),
        (
            {"graph_config": {"nodes": [TRIGGER | {"config": []}]}},
            "graph_config.nodes[0].config",
            "an object is expected",
        ),
        (graph([TRIGGER], entry_node_id="x"), "entry_node_id", "there is no node 'x'"),
        (graph([TRIGGER, SAY], []), "nodes[1].node_id", "node 'say' is not reached from the entry 't'"),
        (
            graph([TRIGGER, SAY], [arrow("t", "say", branch="up")]),
            "edges[0].branch",
            "node 't' has no branch 'up'",
        ),
        (graph([TRIGGER, SAY], [arrow("t", "say", branch=5)]), "edges[0].branch", "a text is expected"),
        (
            graph([TRIGGER, SAY], [arrow("t", "say"), arrow("gone", "say", branch="x")]),
            "edges[1].branch",
            "node 'gone' has no branch 'x'",
        ),
    ],
)
def test_bad_shapes(document: JsonValue, path: str, message: str) -> None:
    assert (path, message) in [(one.path, one.message) for one in problems(document)]


def test_an_empty_workflow_is_left_to_validation() -> None:
    assert read({}).document == {"nodes": [], "edges": []}


def test_ids_that_are_no_names() -> None:
    nodes = [
        TRIGGER,
        FETCH | {"node_id": "my step"},
        step("set_variable", variable_name="v", variable_value=1),
        step("merge", input_sources=["my step"]) | {"node_id": "m"},
    ]
    config = valid(graph(nodes)).nodes[3].config
    assert config["sources"] == ['${nodes.["my step"].output?}']


def test_a_position_as_an_object() -> None:
    node = TRIGGER | {"position": {"x": 1, "y": 2}, "position_x": None}
    assert valid(graph([node])).nodes[0].position.y == 2
