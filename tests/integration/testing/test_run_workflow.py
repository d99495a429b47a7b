"""Workflows run to their end in one call."""

from __future__ import annotations

import asyncio
import time

import pytest

from headrace.errors import InvalidDefinition, InvalidInput, WrongState
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.base import HttpTimeout
from headrace.testing import DidNotEnd, FakeHttp, InTurn, LogEntry, Reply, RunResult, run_workflow
from support.build import chain, edge, if_else, node, workflow
from support.family import a_map

DAY = 86_400
CALL = node("call", "apiCall", config={"url": "https://shop.example/orders", "failOnError": True})


def approval(**config: str) -> JsonObject:
    return workflow(
        [
            node("ask", "approval", config={"timeout": "30d", **config}),
            *map(node, ("paid", "refused", "late")),
        ],
        [
            edge("ask", "paid", "out-approve"),
            edge("ask", "refused", "out-reject"),
            edge("ask", "late", "out-timeout"),
        ],
    )


def went(result: RunResult) -> list[str]:
    assert result.status == "succeeded"
    return [name for name, status in result.statuses.items() if status == "completed"]


def data_of(result: RunResult, name: str) -> JsonValue:
    """What the call of a node brought."""
    output = result.tasks[name].output
    assert isinstance(output, dict)
    return output["data"]


def test_a_chain_gives_its_outputs_its_tasks_and_its_log() -> None:
    result = run_workflow(chain(2), {"n": 1})

    assert (result.status, result.statuses) == ("succeeded", {"n0": "completed", "n1": "completed"})
    first = result.tasks["n0"]
    assert (first.type, first.attempt, first.input) == ("notification", 1, {"n": 1})
    assert result.outputs == {"n1": {"n": 1}}
    assert LogEntry("n0", "notification", "n0") in result.log


def test_thirty_days_pass_while_nobody_decides() -> None:
    run_workflow(chain(1))  # the first one may start the server and make the database
    began = time.monotonic()

    assert went(run_workflow(approval())) == ["ask", "late"]

    assert time.monotonic() - began < 5, "a thirty-day wait took real time"


def test_signals_decide_before_that() -> None:
    approved = run_workflow(approval(), signals={"approval:ask": {"decision": "approve", "by": "Ada"}})
    assert went(approved) == ["ask", "paid"]
    assert "Decision: approve (by Ada)" in approved.lines


def test_a_signal_that_its_node_refuses_is_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        run_workflow(approval(), signals={"approval:ask": {"decision": "perhaps"}})

    assert [one.path for one in refused.value.problems] == ["approval:ask"]
    assert "not one of the options" in "".join(refused.value.__notes__)


def test_a_run_that_nobody_answers_is_still_running() -> None:
    result = run_workflow(workflow([node("wait", "waitSignal", config={"name": "go"}), node("after")], []))

    assert (result.status, result.outputs) == ("running", None)
    assert result.waiting == {"wait": "signal"}
    assert result.statuses["after"] == "completed"


def test_retries_skip_their_back_off() -> None:
    retry: JsonObject = {"maxAttempts": 4, "strategy": "fixed", "initial": DAY}
    http = FakeHttp(
        {"GET https://shop.example/orders": InTurn(Reply(503), HttpTimeout(), Reply(429), {"orders": 7})}
    )

    result = run_workflow(workflow([{**CALL, "retry": retry}], []), http=http)

    assert (result.status, result.tasks["call"].attempt) == ("succeeded", 4)
    assert data_of(result, "call") == {"orders": 7}
    assert len(http.requests) == 4


def test_a_failing_workflow_says_what_failed_and_what_followed() -> None:
    http = FakeHttp({"GET https://shop.example/*": Reply(404, {"why": "gone"})})

    result = run_workflow(workflow([CALL, node("after")], [edge("call", "after")]), http=http)

    assert result.status == "failed"
    assert result.statuses == {"call": "failed", "after": "upstream_failed"}
    assert result.tasks["call"].attempt == 1
    assert "404" in str(result.tasks["call"].error)


def test_a_call_that_nobody_scripted_fails_its_node() -> None:
    result = run_workflow(workflow([CALL], []))

    assert result.tasks["call"].attempt == 1, "another attempt would not help"
    assert "GET https://shop.example/orders" in str(result.tasks["call"].error)


def test_mocked_nodes_are_not_run() -> None:
    document = workflow(
        [CALL, if_else("big", "total", 50), node("yes"), node("no")],
        [edge("call", "big"), edge("big", "yes", "out-true"), edge("big", "no", "out-false")],
    )
    big: JsonObject = {"call": {"total": 90}}
    assert went(run_workflow(document, mocks=big)) == ["call", "big", "yes"]
    assert went(run_workflow(document, mocks={"call": {"output": {"total": 9}}})) == ["call", "big", "no"]
    turned: JsonObject = {"output": {}, "branches": ["out-false"]}
    assert went(run_workflow(document, mocks=big | {"big": turned})) == ["call", "big", "no"]
    failing = run_workflow(document, mocks={"call": {"error": {"type": "Away", "message": "no luck"}}})
    assert failing.tasks["call"].error == {"type": "Away", "message": "no luck"}


def test_a_map_shows_what_it_did_for_each_item() -> None:
    body = node("call", "apiCall", config={"url": "https://shop.example/{{item}}"})
    http = FakeHttp({"GET https://shop.example/*": lambda call: call.url.rpartition("/")[2].upper()})

    result = run_workflow(workflow([a_map("each", body)], []), {"items": ["a", "b", "c"]}, http=http)

    assert result.status == "succeeded"
    inner = sorted(name for name in result.tasks if name != "each")
    assert inner == ["each[0]/call", "each[1]/call", "each[2]/call"]
    assert [data_of(result, name) for name in inner] == ["A", "B", "C"]
    assert result.tasks["each"].output == [result.tasks[name].output for name in inner]


def test_the_time_of_a_run_is_up() -> None:
    result = run_workflow(workflow([node("ask", "approval")], [], timeout="7d"))

    assert (result.status, result.statuses) == ("failed", {"ask": "cancelled"})
    assert result.reason == "Timeout: the run took longer than 604800 s"


def test_every_problem_of_a_definition_is_told() -> None:
    with pytest.raises(InvalidDefinition) as refused:
        run_workflow(workflow([node("a", "no-such-type")], [edge("a", "nobody")]))

    assert len(refused.value.problems) == 2
    assert "no-such-type" in "".join(refused.value.__notes__)
    assert "nobody" in "".join(refused.value.__notes__)


def test_a_mock_of_no_node_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        run_workflow(chain(1), mocks={"n7": 1})

    assert [one.message for one in refused.value.problems] == ["there is no node 'n7'"]


def test_a_workflow_that_never_ends_is_given_up() -> None:
    poll = node("poll", "httpPoll", config={"url": "https://shop.example/job", "until": {"var": "done"}})

    with pytest.raises(DidNotEnd):
        run_workflow(workflow([poll], []), http=FakeHttp({"GET *": {"done": False}}), timeout=0.3)


def test_async_code_is_told_what_to_use() -> None:
    async def call() -> None:
        run_workflow(chain(1))

    with pytest.raises(WrongState, match="bench"):
        asyncio.run(call())
