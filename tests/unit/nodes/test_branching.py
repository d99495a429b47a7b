from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done
from headrace.nodes.decision import Decision, DecisionConfig
from headrace.nodes.if_else import IfElse, IfElseConfig

from .conftest import context, lines

pytestmark = pytest.mark.anyio


def above(field: str, limit: int) -> JsonObject:
    return {"id": "p", "targetField": field, "validationLogic": {">": [{"var": "value"}, limit]}}


def if_else(*predicates: JsonObject, combiner: str = "all", **labels: JsonValue) -> IfElseConfig:
    condition: JsonObject = {"id": "c", "name": "C", "predicates": list(predicates), "combiner": combiner}
    return IfElseConfig.model_validate({"condition": condition, **labels})


def decision(*decisions: JsonObject) -> DecisionConfig:
    return DecisionConfig.model_validate({"decisions": list(decisions)})


@pytest.mark.parametrize(
    ("temperature", "branch", "label"),
    [(35, "out-true", "Hot"), (15, "out-false", "Cool"), ("26", "out-true", "Hot")],
)
async def test_if_else_opens_one_branch(temperature: JsonValue, branch: str, label: str) -> None:
    given: JsonValue = {"data": {"temperature": temperature}}
    one = context(given)

    outcome = await IfElse().start(
        one, if_else(above("data.temperature", 25), trueLabel="Hot", falseLabel="Cool")
    )

    assert outcome == Done(given, frozenset({branch}))
    assert lines(one) == [("decision", f"If-Else condition evaluated to: {label}")]


@pytest.mark.parametrize(
    ("combiner", "given", "branch"),
    [
        ("all", {"a": 1, "b": 1}, "out-true"),
        ("all", {"a": 1, "b": 0}, "out-false"),
        ("any", {"a": 1, "b": 0}, "out-true"),
        ("any", {"a": 0, "b": 0}, "out-false"),
    ],
)
async def test_rules_are_joined_by_all_or_any(combiner: str, given: JsonObject, branch: str) -> None:
    outcome = await IfElse().start(context(given), if_else(above("a", 0), above("b", 0), combiner=combiner))

    assert outcome == Done(given, frozenset({branch}))


@pytest.mark.parametrize("combiner", ["all", "any"])
async def test_without_rules_it_is_false(combiner: str) -> None:
    one = context({})

    assert await IfElse().start(one, if_else(combiner=combiner)) == Done({}, frozenset({"out-false"}))
    assert lines(one) == [("decision", "If-Else condition evaluated to: False")]


async def test_the_other_names_of_the_labels_are_understood() -> None:
    one = context({"a": 1})

    await IfElse().start(one, if_else(above("a", 0), trueText="Too Hot", falseText="Normal"))

    assert lines(one) == [("decision", "If-Else condition evaluated to: Too Hot")]


@pytest.mark.parametrize(
    ("predicate", "given", "branch"),
    [
        (above("", 5), 6, "out-true"),
        (above("missing", 5), {}, "out-false"),
        (above("items[1].n", 5), {"items": [{}, {"n": 6}]}, "out-true"),
        ({"targetField": "x"}, {}, "out-true"),
        ({"targetField": "x", "validationLogic": {"nope": 1}}, {"x": 1}, "out-false"),
        ({"targetField": "x", "validationLogic": {"if": [True, "a message"]}}, {"x": 1}, "out-false"),
        (
            {"targetField": "x", "validationConfig": {"rules": [{"type": "match", "value": "b"}]}},
            {"x": "abc"},
            "out-true",
        ),
    ],
)
async def test_what_a_rule_tests(predicate: JsonObject, given: JsonValue, branch: str) -> None:
    assert await IfElse().start(context(given), if_else(predicate)) == Done(given, frozenset({branch}))


def test_if_else_names_its_branches_and_unknown_operators() -> None:
    config = if_else(above("a", 1), {"validationLogic": {"nope": 1}})

    assert IfElse().branches(config) == ("out-true", "out-false")
    assert [one.path for one in IfElse().check(config)] == ["condition.predicates[1].validationLogic"]


async def test_every_outcome_that_matches_is_open() -> None:
    config = decision(
        {"id": "a", "name": "A", "predicates": [above("n", 1)]},
        {"id": "b", "name": "B", "predicates": [above("n", 2), above("n", 99)], "combiner": "any"},
        {"id": "c", "name": "C", "predicates": [above("n", 9)]},
        {"id": "d", "name": "D"},
    )
    one = context({"n": 5})

    assert await Decision().start(one, config) == Done({"n": 5}, frozenset({"out-a", "out-b", "out-d"}))
    assert lines(one) == [("decision", "Matched 3 outcome(s): a, b, d")]
    assert Decision().branches(config) == ("out-a", "out-b", "out-c", "out-d")


@pytest.mark.parametrize("config", [decision(), decision({"id": "a", "predicates": [above("n", 9)]})])
async def test_no_match_is_fine(config: DecisionConfig) -> None:
    one = context({"n": 5})

    assert await Decision().start(one, config) == Done({"n": 5}, frozenset())
    assert lines(one) == [("decision", "Matched 0 outcome(s): none")]


@pytest.mark.parametrize(("n", "open_branches"), [(5, {"out-a"}), (1, set())])
async def test_the_older_form_with_one_rule_in_the_outcome(n: int, open_branches: set[str]) -> None:
    config = decision({"id": "a", **above("n", 3)} | {"id": "a"})

    assert await Decision().start(context({"n": n}), config) == Done({"n": n}, frozenset(open_branches))


def test_two_outcomes_with_one_id_are_a_problem() -> None:
    assert [one.path for one in Decision().check(decision({"id": "a"}, {"id": "b"}, {"id": "a"}))] == [
        "decisions"
    ]
    assert list(Decision().check(decision({"id": "a"}, {"id": "b"}))) == []
