"""Imported definitions, run: what they name is what it was where they come from."""

from __future__ import annotations

import json
from typing import cast

import pytest

from headrace.graph.imports.formats import Format, read_foreign
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.testing import FakeHttp, Reply, RunResult, run_workflow

ORDER = "https://shop.example/orders/7"
PAY = "POST https://shop.example/pay/90"


def step(name: str, kind: str, **config: JsonValue) -> JsonObject:
    return {"node_id": name, "node_type": kind, "config": config}


def run(nodes: list[JsonObject], edges: list[JsonObject], given: JsonObject, http: FakeHttp) -> RunResult:
    document: JsonObject = {"name": "Old", "nodes": cast(JsonValue, nodes), "edges": cast(JsonValue, edges)}
    return run_workflow(read_foreign(Format.GRAPH_CONFIG, document).document, given, http=http)


def arrow(source: str, target: str, **more: JsonValue) -> JsonObject:
    return {"from": source, "to": target, **more}


NODES = [
    step("start", "trigger"),
    step("order", "http_request", url="https://shop.example/orders/${data.id}"),
    step("is_big", "condition", condition="${order_output.json.total} > 50 && '${id} ${no}' == '7 '"),
    step(
        "pay",
        "http_request",
        method="POST",
        url="https://shop.example/pay/${order_output.json.total}",
        headers={"X-Customer": "c-${order_output.json.customer}${nobody}"},
        body='{"to": "${order_output.json.customer}", "total": ${order_output.json.total}, "note": ${note}}',
    ),
    step("keep", "set_variable", variable_name="paid", variable_value="${pay_output.body.ok}"),
    step("line", "set_variable", variable_name="line", variable_value="${id}: ${pay_output.body.ok} ${no}"),
    step("say", "notification", subject="Order ${id}", message="Paid ${order_output.json.total}${no}"),
    step("small", "notification", message="Too small"),
]
EDGES = [
    arrow("start", "order"),
    arrow("order", "is_big", condition="${order_output.status_code} == 200 && ${id} == 7"),
    arrow("is_big", "pay", branch="true"),
    arrow("is_big", "small", branch="false"),
    arrow("pay", "keep"),
    arrow("keep", "line"),
    arrow("line", "say"),
]


def answers(total: int) -> FakeHttp:
    reply: JsonValue = {"total": total, "customer": 'A "B"'}
    return FakeHttp({f"GET {ORDER}": reply, PAY: Reply(201, {"ok": True})})


def test_each_reference_is_what_it_was() -> None:
    http = answers(90)
    result = run(NODES, EDGES, {"id": 7}, http)
    assert (result.status, result.statuses["small"]) == ("succeeded", "skipped")
    [paid] = http.calls(PAY)
    assert json.loads(paid.content or b"") == {"to": 'A "B"', "total": 90, "note": None}
    assert paid.headers["X-Customer"] == 'c-A "B"'
    assert result.tasks["keep"].output == {"name": "paid", "value": True}
    assert result.tasks["line"].output == {"name": "line", "value": "7: true null"}
    assert "Order 7\n\nPaid 90" in [line.text for line in result.log]


@pytest.mark.parametrize(("given", "total"), [({"id": 7}, 10), ({"id": 7, "no": "x"}, 90)])
def test_a_condition_that_does_not_hold(given: JsonObject, total: int) -> None:
    result = run(NODES, EDGES, given, answers(total))
    assert (result.statuses["pay"], result.statuses["small"]) == ("skipped", "completed")


def test_what_is_missing_is_null() -> None:
    nodes = [
        step("start", "trigger"),
        step("is_set", "if", condition="${customer.name} == null"),
        step("keep", "set_variable", variable_name="name", variable_value="${customer.name}"),
        step("sum", "reduce", input_array=[1, 2], reduce_function="acc + x", initial_value="${begin}"),
        step("say", "notification", message="Hello ${customer.name}!"),
    ]
    edges = [
        arrow("start", "is_set", condition="${a.b.c} == null"),
        arrow("is_set", "keep", branch="true"),
        arrow("keep", "sum"),
        arrow("sum", "say"),
    ]
    result = run(nodes, edges, {"begin": 10}, FakeHttp())
    assert result.status == "succeeded"
    assert result.tasks["keep"].output == {"name": "name", "value": None}
    assert result.tasks["sum"].output == 13
    assert "Hello !" in [line.text for line in result.log]
