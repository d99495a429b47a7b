"""The node types that wait: what they park for, what they take, and what they make of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome, Waiting
from headrace.nodes.approval import Approval
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.http import GuardedHttp
from headrace.nodes.http_poll import HttpPoll
from headrace.nodes.question import Question
from headrace.nodes.wait_signal import WaitSignal
from headrace.nodes.wait_until import WaitUntil
from headrace.nodes.waits import Patience

from .conftest import NoVariables, Server, context, lines

pytestmark = pytest.mark.anyio

C = TypeVar("C", bound=Config)
AT = "2026-01-01T00:00:00+00:00"
FOREVER: JsonObject = {"!": [True]}


@dataclass
class Known(NoVariables):
    """Variables of the run."""

    values: JsonObject

    async def read(self, scope: str, name: str, default: JsonValue = None) -> JsonValue:
        assert scope == "run"
        return self.values.get(name, default)


def woken(before: NodeContext, waiting: Outcome, payload: JsonValue, drawn: str = "") -> NodeContext:
    """The context of the same node when a signal has come."""
    wake: JsonObject = {"signal": {"id": "1", "name": "s", "payload": payload, "at": AT}}
    return replace(over(before, waiting, drawn), wake=wake)


def over(before: NodeContext, waiting: Outcome, drawn: str = "") -> NodeContext:
    """The context of the same node when its time has come."""
    assert isinstance(waiting, Waiting)
    memory: JsonValue = json.loads(json.dumps(waiting.memory))
    return replace(before, memory=memory, drawn=frozenset(filter(None, [drawn])), log=[])


def config_of(node: NodeType[C], settings: JsonObject) -> C:
    return cast(C, node.config_model.model_validate(settings))


async def begun(
    node: NodeType[C], settings: JsonObject, one: NodeContext | None = None
) -> tuple[NodeContext, C, Waiting]:
    config = config_of(node, settings)
    assert list(node.check(config)) == []
    one = one or context({"who": "Ada"})
    outcome = await node.start(one, config)
    assert isinstance(outcome, Waiting)
    return one, config, outcome


def faults(node: NodeType[C], settings: JsonObject) -> list[str]:
    return [one.path for one in node.check(config_of(node, settings))]


def refusals(node: NodeType[C], settings: JsonObject, payload: JsonValue) -> list[str]:
    config = config_of(node, settings)
    return [one.path for one in node.check_signal(config, payload)]


# waitSignal


async def test_wait_signal_takes_the_payload() -> None:
    one, config, waiting = await begun(WaitSignal(), {"name": "paid-{{who}}", "timeout": "1h"})

    assert (waiting.seconds, waiting.for_what, waiting.signal) == (3600, "signal", "paid-Ada")
    assert lines(one) == [("signal", "Waiting for the signal 'paid-Ada'")]
    outcome = await WaitSignal().resume(woken(one, waiting, {"sum": 9}), config)
    assert outcome == Done({"sum": 9}, frozenset({"out-done"}))


async def test_wait_signal_gives_up() -> None:
    one, config, waiting = await begun(WaitSignal(), {"name": "paid", "timeout": 1})

    failed = await WaitSignal().resume(over(one, waiting), config)
    message = "the signal 'paid' did not come in time"
    assert failed == Failed(message, kind="SignalTimeout", retryable=False)
    way = await WaitSignal().resume(over(one, waiting, "out-timeout"), config)
    assert way == Done({"timedOut": True}, frozenset({"out-timeout"}))


@pytest.mark.parametrize("name", ["{{nothing}}", " ", "x" * 201])
async def test_wait_signal_needs_a_name(name: str) -> None:
    config = config_of(WaitSignal(), {"name": name})

    outcome = await WaitSignal().start(context({}), config)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == ("InvalidConfig", False)


def test_wait_signal_refuses_what_its_schema_does() -> None:
    strict: JsonObject = {"payloadSchema": {"type": "object", "required": ["n"]}}

    assert refusals(WaitSignal(), strict, {"n": 1}) == []
    assert refusals(WaitSignal(), strict, {}) == ["n"]
    assert refusals(WaitSignal(), {}, [1, "anything"]) == []
    assert faults(WaitSignal(), {"payloadSchema": {"type": "nonsense"}}) == ["payloadSchema.type"]


# approval


async def test_an_approval_goes_the_way_of_the_decision() -> None:
    one, config, waiting = await begun(Approval(), {"message": "Pay {{who}}?", "timeout": 60})

    assert (waiting.seconds, waiting.for_what, waiting.signal) == (60, "approval", "approval:node")
    assert waiting.memory == {
        "message": "Pay Ada?",
        "options": ["approve", "reject"],
        "form": None,
        "defaultOption": None,
    }
    said: JsonObject = {"decision": "reject", "by": "Bob", "data": {"why": "no"}}
    outcome = await Approval().resume(woken(one, waiting, said), config)
    assert outcome == Done(
        {"decision": "reject", "data": {"why": "no"}, "by": "Bob", "at": AT, "timedOut": False},
        frozenset({"out-reject"}),
    )


async def test_an_approval_s_default_counts_in_the_end() -> None:
    one, config, waiting = await begun(Approval(), {"timeout": 60, "defaultOption": "reject"})

    outcome = await Approval().resume(over(one, waiting), config)
    assert outcome == Done(
        {"decision": "reject", "data": None, "by": None, "at": None, "timedOut": True},
        frozenset({"out-reject"}),
    )
    assert Approval().branches(config) == ("out-approve", "out-reject")


async def test_an_approval_without_a_default_times_out() -> None:
    one, config, waiting = await begun(Approval(), {"options": ["now", "later"], "timeout": 60})

    assert Approval().branches(config) == ("out-now", "out-later", "out-timeout")
    failed = await Approval().resume(over(one, waiting), config)
    assert failed == Failed("nobody decided in time", kind="ApprovalTimeout", retryable=False)
    way = await Approval().resume(over(one, waiting, "out-timeout"), config)
    assert isinstance(way, Done)
    assert way.branches == {"out-timeout"}


def test_an_approval_reads_the_older_names() -> None:
    older: JsonObject = {
        "approval_message": "Go?",
        "timeout_seconds": 5,
        "approval_options": ["yes", "no"],
    }
    config = config_of(Approval(), older)

    assert Approval().branches(config) == ("out-yes", "out-no", "out-timeout")
    assert config.timeout == 5


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({"options": ["a", "a"]}, ["options"]),
        ({"options": ["a", " "]}, ["options"]),
        ({"options": ["a", "timeout"]}, ["options"]),
        ({"defaultOption": "maybe"}, ["defaultOption"]),
        ({"form": {"properties": 7}}, ["form.properties"]),
    ],
)
def test_wrong_approvals(settings: JsonObject, paths: list[str]) -> None:
    assert faults(Approval(), settings) == paths


@pytest.mark.parametrize(
    ("payload", "paths"),
    [
        ("approve", [""]),
        ({}, ["decision"]),
        ({"decision": "approve"}, []),
        ({"decision": "approve", "data": None}, []),
        ({"decision": ["approve"], "data": {"n": 1}}, ["decision"]),
        ({"decision": "approve", "data": {"n": "x"}, "by": 7}, ["by", "data.n"]),
        ({"decision": "approve", "data": [1]}, ["data"]),
        ({"decision": "approve", "data": {"n": 1}, "by": None}, []),
    ],
)
def test_wrong_decisions(payload: JsonValue, paths: list[str]) -> None:
    form: JsonObject = {"type": "object", "properties": {"n": {"type": "integer"}}}

    assert refusals(Approval(), {"form": form}, payload) == paths


def test_a_form_judges_a_decision_without_data() -> None:
    form: JsonObject = {"type": "object", "required": ["why"]}

    assert refusals(Approval(), {"form": form}, {"decision": "approve"}) == ["data.why"]
    assert refusals(Approval(), {}, {"decision": "approve"}) == []


async def test_a_form_that_nobody_filled_in_is_empty() -> None:
    one, config, waiting = await begun(Approval(), {"form": {"type": "object"}})

    outcome = await Approval().resume(woken(one, waiting, {"decision": "approve"}), config)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.output, dict)
    assert outcome.output["data"] == {}


# question


async def test_a_question_takes_its_answer() -> None:
    settings: JsonObject = {"question": "How old, {{who}}?", "type": "AGE", "answerType": "number"}
    one, config, waiting = await begun(Question(), settings | {"actor": "{{who}}"})

    assert (waiting.seconds, waiting.for_what, waiting.signal) == (None, "question", "question:AGE")
    assert waiting.memory == {
        "question": "How old, Ada?",
        "type": "AGE",
        "actor": "Ada",
        "answerType": "number",
        "answerSchema": None,
    }
    outcome = await Question().resume(woken(one, waiting, {"type": "AGE", "answer": "36"}), config)
    assert outcome == Done({"answer": 36, "by": None, "at": AT, "timedOut": False}, frozenset({"out-done"}))


async def test_a_question_without_a_type_is_its_node_s() -> None:
    assert (await begun(Question(), {"question": "?"}))[2].signal == "question:node"


async def test_a_question_that_nobody_answers() -> None:
    one, config, waiting = await begun(Question(), {"question": "?", "timeout": 1})
    failed = await Question().resume(over(one, waiting), config)
    assert failed == Failed("nobody answered in time", kind="QuestionTimeout", retryable=False)

    one, config, waiting = await begun(Question(), {"question": "?", "timeout": 1, "defaultAnswer": "me"})
    assert await Question().resume(over(one, waiting), config) == Done(
        {"answer": "me", "by": None, "at": None, "timedOut": True}, frozenset({"out-done"})
    )
    assert Question().branches(config) == ("out-done",)


@pytest.mark.parametrize(
    ("kind", "answer", "read"),
    [
        ("text", "A. User", "A. User"),
        ("number", "7", 7),
        ("number", "7.5", 7.5),
        ("number", 7, 7),
        ("boolean", "Yes", True),
        ("boolean", False, False),
        ("date", " 2026-01-31 ", "2026-01-31"),
        ("date", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        ("json", [1], [1]),
        ("json", False, False),
        *[
            (kind, bad, None)
            for kind in ("text", "number", "boolean", "date", "json")
            for bad in (None, "", "  ")
        ],
        *[("text", bad, None) for bad in (7, True, ["x"])],
        *[("number", bad, None) for bad in ("seven", True, "nan", "1e999", [7])],
        *[("boolean", bad, None) for bad in ("maybe", 1, {})],
        *[("date", bad, None) for bad in ("tomorrow", "2026-13-01", 20260131)],
    ],
)
async def test_kinds_of_answers(kind: str, answer: JsonValue, read: JsonValue) -> None:
    one, config, waiting = await begun(Question(), {"question": "?", "answerType": kind})
    payload: JsonObject = {"answer": answer}

    refused = list(Question().check_signal(config, payload))
    if read is None:
        assert [problem.path for problem in refused] == ["answer"]
    else:
        assert refused == []
        outcome = await Question().resume(woken(one, waiting, payload), config)
        assert isinstance(outcome, Done)
        assert isinstance(outcome.output, dict)
        assert outcome.output["answer"] == read


def test_wrong_answers_and_questions() -> None:
    settings: JsonObject = {"type": "NAME", "answerSchema": {"maxLength": 3}}

    assert refusals(Question(), settings, "Ada") == [""]
    assert refusals(Question(), settings, {"type": "DATE", "answer": "Ada", "by": 1}) == ["type", "by"]
    assert refusals(Question(), settings, {"type": "NAME", "answer": "Grace"}) == ["answer"]
    assert refusals(Question(), settings, {"answer": "Ada"}) == []
    assert refusals(Question(), {}, {"type": "NAME", "answer": "Ada"}) == ["type"]
    assert faults(Question(), settings | {"defaultAnswer": "Grace"}) == ["defaultAnswer"]
    assert faults(Question(), {"answerSchema": 7}) == ["answerSchema"]


# waitUntil


@pytest.mark.parametrize(
    ("shift", "zone"), [(timedelta(hours=2), "Z"), (timedelta(hours=2), ""), (timedelta(days=400), "+00:00")]
)
async def test_wait_until_a_time(shift: timedelta, zone: str) -> None:
    moment = (datetime.now(UTC) + shift).replace(tzinfo=None).isoformat() + zone
    one = context({"when": moment})
    one, config, waiting = await begun(WaitUntil(), {"time": "{{when}}"}, one)

    assert waiting.seconds == pytest.approx(shift.total_seconds(), abs=5)
    assert (waiting.for_what, waiting.signal) == ("timer", None)
    assert await WaitUntil().resume(over(one, waiting), config) == Done(
        {"when": moment}, frozenset({"out-done"})
    )


async def test_a_time_that_is_past_or_none() -> None:
    past = config_of(WaitUntil(), {"time": "2020-01-01"})
    assert await WaitUntil().start(context({"a": 1}), past) == Done({"a": 1}, frozenset({"out-done"}))
    for text in ("", "tomorrow"):
        none = config_of(WaitUntil(), {"time": text})
        outcome = await WaitUntil().start(context({}), none)
        assert outcome == Failed(f"time: '{text}' is not ISO 8601", kind="InvalidConfig", retryable=False)


async def test_wait_until_a_condition() -> None:
    settings: JsonObject = {
        "condition": {"==": [{"var": "signal.state"}, "ready"]},
        "every": "10s",
        "signal": "state",
        "timeout": 25,
    }
    one, config, waiting = await begun(WaitUntil(), settings)
    assert (waiting.seconds, waiting.for_what, waiting.signal) == (10, "condition", "state")

    met = await WaitUntil().resume(woken(one, waiting, {"state": "ready"}), config)
    assert met == Done({"who": "Ada"}, frozenset({"out-done"}))
    not_met = await WaitUntil().resume(woken(one, waiting, {"state": "busy"}), config)
    assert isinstance(not_met, Waiting)

    second = await WaitUntil().resume(over(one, waiting), config)
    assert isinstance(second, Waiting)
    third = await WaitUntil().resume(over(one, second), config)
    assert isinstance(third, Waiting)
    assert (second.seconds, third.seconds) == (10, pytest.approx(5, abs=1))
    last = await WaitUntil().resume(over(one, third), config)
    assert last == Failed("the condition did not come true in time", "ConditionTimeout", retryable=False)
    way = await WaitUntil().resume(over(one, third, "out-timeout"), config)
    assert way == Done({"timedOut": True}, frozenset({"out-timeout"}))


async def test_conditions_see_the_input_and_the_run() -> None:
    of_b: JsonObject = {"==": [{"var": "vars.b.c"}, {"var": ["vars.two", 2]}]}
    rule: JsonObject = {"and": [{"==": [{"var": "input.a"}, 1]}, of_b]}
    config = config_of(WaitUntil(), {"condition": rule})

    met = await WaitUntil().start(replace(context({"a": 1}), variables=Known({"b": {"c": 2}})), config)
    assert isinstance(met, Done)
    not_yet = replace(context({"a": 1}), variables=Known({"b": {"c": 3}}))
    assert isinstance(await WaitUntil().start(not_yet, config), Waiting)


def test_wrong_conditions() -> None:
    assert faults(WaitUntil(), {"time": "2026-01-01", "condition": True}) == ["time"]
    assert faults(WaitUntil(), {"condition": {"equals": [1, 2]}}) == ["condition"]


def test_patience_counts_real_time_after_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("headrace.nodes.waits.time.time", lambda: clock[0])
    pause = Patience().pause(10, 30)
    assert pause is not None
    one = replace(context({}), memory=pause.memory())

    clock[0] += 4
    assert Patience.of(replace(one, wake={"signal": {}})).waited == 4
    assert Patience.of(one).waited == 10, "its time had come, whatever this machine's clock says"
    clock[0] += 8
    assert Patience.of(one).waited == 12


# httpPoll


def polling(server: Server, **settings: JsonValue) -> JsonObject:
    return {"url": server.url("/job"), "every": 5, **settings}


async def test_a_poll_goes_on_until_the_answer_is_as_wanted(server: Server, http: GuardedHttp) -> None:
    settings = polling(server, until={"==": [{"var": "data.state"}, "done"]})
    server.on("/job", b'{"state": "busy"}', Content_Type="application/json")
    one, config, waiting = await begun(HttpPoll(), settings, context({}, http))

    assert (waiting.seconds, waiting.for_what, waiting.signal) == (5, "poll", None)
    assert lines(one) == [("api", "Call 1: 200 OK, not yet as wanted")]
    again = await HttpPoll().resume(over(one, waiting), config)
    assert isinstance(again, Waiting)
    server.on("/job", b'{"state": "done"}', Content_Type="application/json")
    last = over(one, again)
    outcome = await HttpPoll().resume(last, config)

    assert isinstance(outcome, Done)
    assert isinstance(outcome.output, dict)
    assert (outcome.branches, outcome.output["polls"]) == ({"out-done"}, 3)
    assert outcome.output["data"] == {"state": "done"}
    assert "→ 200 OK" in lines(last)[0][1]


async def test_each_call_has_its_own_key(server: Server, http: GuardedHttp) -> None:
    settings = polling(server, method="POST", until=FOREVER)
    one, config, waiting = await begun(HttpPoll(), settings, context({}, http))
    await HttpPoll().resume(over(one, waiting), config)

    assert [call.headers["idempotency-key"] for call in server.received] == ["task-1-1", "task-1-2"]


async def test_without_a_condition_success_is_enough(server: Server, http: GuardedHttp) -> None:
    one, config, waiting = await begun(HttpPoll(), polling(server), context({}, http))

    server.on("/job", b"{}")
    assert isinstance(await HttpPoll().resume(over(one, waiting), config), Done)


@pytest.mark.parametrize("limit", [{"maxAttempts": 2}, {"timeout": 5}])
async def test_a_poll_gives_up(server: Server, http: GuardedHttp, limit: JsonObject) -> None:
    one, config, waiting = await begun(HttpPoll(), polling(server, **limit), context({}, http))

    failed = await HttpPoll().resume(over(one, waiting), config)
    assert failed == Failed(
        "the answer was not as wanted after 2 call(s)", kind="PollTimeout", retryable=False
    )
    way = await HttpPoll().resume(over(one, waiting, "out-timeout"), config)
    assert isinstance(way, Done)
    assert isinstance(way.output, dict)
    assert (way.output["status"], way.output["timedOut"]) == (404, True)


async def test_a_call_that_fails_is_one_of_many(server: Server, http: GuardedHttp) -> None:
    passing = polling(server, url=server.url("/drop"), failOnError=True)
    one, _, waiting = await begun(HttpPoll(), passing, context({}, http))
    assert "not yet as wanted" in lines(one)[0][1]
    assert waiting.seconds == 5

    lasting = config_of(HttpPoll(), polling(server, failOnError=True))
    outcome = await HttpPoll().start(context({}, http), lasting)
    assert isinstance(outcome, Failed)
    assert outcome.kind == "HttpError"


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://169.254.169.254/", "RefusedAddress"),
        ("ftp://example.com/", "InvalidRequest"),
        ("{{nothing}}", "InvalidRequest"),
        ("http://a..b/", "InvalidRequest"),
    ],
)
async def test_a_call_that_cannot_be_made_is_not_repeated(
    url: str, kind: str, fails: bool, http: GuardedHttp
) -> None:
    config = config_of(HttpPoll(), {"url": url, "failOnError": fails})
    outcome = await HttpPoll().start(context({}, http), config)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == (kind, False)


def test_a_wrong_poll() -> None:
    assert faults(HttpPoll(), {"until": {"nonsense": 1}}) == ["until"]


async def test_a_time_beyond_all_calendars_is_refused() -> None:
    config = config_of(WaitUntil(), {"time": "9999-12-31T23:59:59-10:00"})
    outcome = await WaitUntil().start(context({}), config)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == ("InvalidConfig", False)
