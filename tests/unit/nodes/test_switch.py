from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.switch import Switch, SwitchConfig, is_same

from .conftest import context, lines

pytestmark = pytest.mark.anyio


def switch(cases: JsonValue, **config: JsonValue) -> SwitchConfig:
    return SwitchConfig.model_validate({"cases": cases, **config})


def above(field: str, limit: int) -> JsonObject:
    return {"id": "p", "targetField": field, "validationLogic": {">": [{"var": "value"}, limit]}}


def when(id: str, rule: JsonValue) -> JsonObject:
    return {"id": id, "when": rule}


BY_SIZE: list[JsonValue] = [
    when("large", {">": [{"var": "input.n"}, 100]}),
    when("medium", {">": [{"var": "input.n"}, 10]}),
    {"id": "small", "predicates": [above("n", 0)]},
]


@pytest.mark.parametrize(
    ("n", "branch"), [(500, "out-large"), (50, "out-medium"), (5, "out-small"), (0, "out-default")]
)
async def test_the_first_case_that_matches_is_taken(n: int, branch: str) -> None:
    assert await Switch().start(context({"n": n}), switch(BY_SIZE, default=True)) == Done(
        {"n": n}, frozenset({branch})
    )


async def test_it_says_which_way_it_went() -> None:
    first, second = context({"n": 5}), context({"n": 0})
    await Switch().start(first, switch(BY_SIZE, default=True))
    await Switch().start(second, switch(BY_SIZE, default=True))

    assert lines(first) == [("decision", "Matched case: small")]
    assert lines(second) == [("decision", "Matched no case: default")]


async def test_no_match_and_no_default_fails_and_another_attempt_cannot_help() -> None:
    outcome = await Switch().start(context({"n": 0}), switch(BY_SIZE))

    assert outcome == Failed(
        "no case matches and there is no default", kind="NoBranchMatched", retryable=False
    )


@pytest.mark.parametrize(
    ("status", "branch"),
    [
        ("paid", "out-ship"),
        ("refunded", "out-stop"),
        ("lost", "out-stop"),
        ("open", "out-open"),
        (7, "out-7"),
    ],
)
async def test_a_map_of_values_to_cases(status: JsonValue, branch: str) -> None:
    cases: JsonObject = {"paid": "ship", "refunded": "stop", "lost": "stop", "open": None, "7": None}
    config = switch(cases, value="${order.status}")

    assert await Switch().start(context({"order": {"status": status}}), config) == Done(
        {"order": {"status": status}}, frozenset({branch})
    )
    assert Switch().branches(config) == ("out-ship", "out-stop", "out-open", "out-7")
    assert list(Switch().check(config)) == []


async def test_a_list_of_values_and_a_text_made_of_several() -> None:
    config = switch(["eu-high", "us-low"], value="{{region}}-{{rank}}")

    assert await Switch().start(context({"region": "us", "rank": "low"}), config) == Done(
        {"region": "us", "rank": "low"}, frozenset({"out-us-low"})
    )


async def test_all_that_a_case_asks_must_hold() -> None:
    both: JsonObject = {"id": "a", "values": [1], "when": {"var": "input.ok"}, "predicates": [above("n", 2)]}
    config = switch([both], value="${v}", default=True)

    async def way(**given: JsonValue) -> frozenset[str]:
        outcome = await Switch().start(context({"v": 1, "ok": True, "n": 3, **given}), config)
        assert isinstance(outcome, Done)
        return outcome.branches

    assert await way() == {"out-a"}
    assert await way(v=2) == await way(ok=False) == await way(n=1) == {"out-default"}


async def test_the_run_is_there_for_conditions() -> None:
    config = switch([when("a", {"==": [{"var": "run.version"}, 3]})])

    outcome = await Switch().start(context({}, run={"version": 3}), config)

    assert outcome == Done({}, frozenset({"out-a"}))


async def test_what_cannot_be_evaluated_does_not_match_and_is_said() -> None:
    one = context({})
    outcome = await Switch().start(one, switch([when("a", {"nope": 1})], default=True))

    assert outcome == Done({}, frozenset({"out-default"}))
    assert lines(one)[0] == ("warning", "Case 'a' cannot be evaluated: Unknown operator 'nope'.")


async def test_a_missing_value_fails_unless_it_is_optional() -> None:
    cases: JsonValue = [{"id": "none", "values": [None]}]
    outcome = await Switch().start(context({}), switch(cases, value="${gone}"))

    assert outcome == Failed("'gone' does not exist.", kind="MissingReference", retryable=False)
    assert await Switch().start(context({}), switch(cases, value="${gone?}")) == Done(
        {}, frozenset({"out-none"})
    )


@pytest.mark.parametrize(
    ("cases", "config", "paths"),
    [
        (["a", "a"], {"value": "${x}"}, ["cases"]),
        (["a"], {}, ["value"]),
        ([{"id": "a"}], {}, ["cases[0]"]),
        ([when("default", True)], {}, ["cases[0].id"]),
        ([when("a", {"nope": 1})], {}, ["cases[0].when"]),
        (
            [{"id": "a", "predicates": [{"validationLogic": {"nope": 1}}]}],
            {},
            ["cases[0].predicates[0].validationLogic"],
        ),
        ([], {}, []),
    ],
)
def test_what_is_wrong_with_a_config(cases: JsonValue, config: JsonObject, paths: list[str]) -> None:
    assert [one.path for one in Switch().check(switch(cases, **config))] == paths


async def test_a_case_without_a_condition_matches_nothing() -> None:
    assert isinstance(await Switch().start(context({}), switch([{"id": "a"}])), Failed)


def test_the_default_is_a_branch_only_where_it_is_on() -> None:
    assert Switch().branches(switch(["a"], value=1)) == ("out-a",)
    assert Switch().branches(switch(["a"], value=1, default=True)) == ("out-a", "out-default")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a", "a", True),
        ("5", 5, True),
        ("5", 5.0, True),
        ("true", True, True),
        (5, 5.0, True),
        ([1], [1], True),
        (None, None, True),
        ("", None, False),
        ("null", None, False),
        (1, True, False),
        (0, False, False),
        ("1", [1], False),
        ("5", 6, False),
    ],
)
def test_when_two_values_are_the_same(one: JsonValue, other: JsonValue, same: bool) -> None:
    assert is_same(one, other) is is_same(other, one) is same


@given(value=st.none() | st.booleans() | st.integers() | st.text(), default=st.booleans())
async def test_exactly_one_way_or_a_failure(value: JsonValue, default: bool) -> None:
    config = switch(["1", "true", "a"], value="${v}", default=default)

    match await Switch().start(context({"v": value}), config):
        case Done(branches=branches):
            assert len(branches) == 1
            assert branches <= set(Switch().branches(config))
        case Failed(kind=kind):
            assert (kind, default) == ("NoBranchMatched", False)
