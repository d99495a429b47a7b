"""What the systems that Headrace unites could say about joins, retries and clocks, said here and run."""

from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.base import HttpTimeout
from headrace.testing import FakeHttp, InTurn, RunResult, run_workflow
from support.build import edge, node, workflow

URL = "https://shop.example/orders"
SOURCES = ["${parents.a}", "${parents.b}", "${parents.c}"]


def value(name: str, output: JsonValue) -> JsonObject:
    return node(name, "transform", config={"operation": "template", "template": output})


def meeting(last: JsonObject, **mocks: JsonValue) -> RunResult:
    """Three branches that meet in `last`."""
    outputs: list[JsonObject] = [{"a": 1, "who": "a"}, {"b": 2, "who": "b"}, {"c": 3, "who": "c"}]
    names = ["a", "b", "c"]
    nodes = [value(name, output) for name, output in zip(names, outputs, strict=True)]
    return run_workflow(workflow([*nodes, last], [edge(name, "last") for name in names]), {}, mocks or None)


@pytest.mark.parametrize(
    ("config", "output"),
    [
        (
            {"operation": "template", "template": SOURCES},
            [{"a": 1, "who": "a"}, {"b": 2, "who": "b"}, {"c": 3, "who": "c"}],
        ),
        ({"operation": "template", "template": SOURCES[0]}, {"a": 1, "who": "a"}),
        ({"operation": "template", "template": SOURCES[-1]}, {"c": 3, "who": "c"}),
    ],
    ids=["array", "first", "last"],
)
def test_what_meets_is_collected_as_one_wants(config: JsonObject, output: JsonValue) -> None:
    result = meeting(node("last", "transform", config=config))
    assert result.tasks["last"].output == output


def test_what_meets_is_merged_by_itself() -> None:
    result = meeting(node("last"))
    assert result.tasks["last"].input == {"a": 1, "b": 2, "c": 3, "who": "c"}


@pytest.mark.parametrize(
    ("join", "failing", "status"),
    [
        ("all", 0, "completed"),
        ("all", 1, "upstream_failed"),
        ("any_success", 2, "completed"),
        ("any_success", 3, "upstream_failed"),
        ("quorum:2", 1, "completed"),
        ("quorum:2", 2, "upstream_failed"),
    ],
)
def test_all_any_and_so_many_of_them(join: str, failing: int, status: str) -> None:
    broken: JsonObject = {"error": {"type": "Down", "message": "no"}}
    mocks: dict[str, JsonValue] = dict.fromkeys(["c", "b", "a"][:failing], broken)
    assert meeting(node("last", join=join), **mocks).statuses["last"] == status


@pytest.mark.parametrize(
    ("retry", "calls"),
    [
        ({"strategy": "keep-trying"}, 8),
        ({"strategy": "keep-trying", "maxAttempts": 4}, 4),
        ({"strategy": "fail-after-x"}, 3),
        ({"strategy": "fail-after-x", "maxAttempts": 2}, 2),
        ({"strategy": "exponential-backoff"}, 5),
        ({"strategy": "fixed", "initial": "2s"}, 3),
        ({"strategy": "linear", "maxAttempts": 6}, 6),
        ({"strategy": "exponential", "max": "1h"}, 3),
        ({"strategy": "none"}, 1),
        (None, 3),
    ],
)
def test_each_strategy_tries_as_often_as_it_says(retry: JsonValue, calls: int) -> None:
    down = HttpTimeout()
    http = FakeHttp({f"GET {URL}": InTurn(*[down] * 7, {"ok": True})})
    options: JsonObject = {} if retry is None else {"retry": retry}
    call = node("call", "apiCall", config={"url": URL, "failOnError": True}, **options)
    result = run_workflow(workflow([call], []), {}, http=http)
    assert len(http.requests) == calls
    assert result.status == ("succeeded" if calls == 8 else "failed")


def test_a_clock_that_ends_the_run_and_one_that_only_warns() -> None:
    waits = node("wait", "waitSignal", config={"name": "never", "timeout": "30s"})
    edges = [edge("wait", "after")]
    ends = run_workflow(workflow([waits, node("after")], edges), {})
    assert (ends.status, ends.statuses["after"]) == ("failed", "upstream_failed")
    warns = run_workflow(workflow([waits | {"allowFailure": True}, node("after")], edges), {})
    assert (warns.status, warns.statuses) == ("succeeded", {"wait": "failed", "after": "completed"})


def test_a_run_s_own_clock_has_its_word() -> None:
    waits = node("wait", "waitSignal", config={"name": "never"})
    result = run_workflow(workflow([waits], [], timeout="1h"), {})
    assert (result.status, result.reason) == ("failed", "Timeout: the run took longer than 3600 s")
