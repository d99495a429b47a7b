"""json-logic: the official table, JavaScript's coercions, the rule builder's rules, and the bounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadExpression
from headrace.graph.expressions import check, evaluate, holds, operators, rule_of, truthy, violation
from headrace.graph.json_types import JsonValue

TABLE = Path(__file__).parents[2] / "data" / "json-logic-official.json"
OFFICIAL = [case for case in json.loads(TABLE.read_text())["official"] if not isinstance(case, str)]
DATA: JsonValue = {
    "n": 5,
    "text": "héllo",
    "list": [1, "2", None],
    "same": {"a": 1},
    "big": 2**53 + 1,
    "rows": [{"q": 1}, {"q": 2}],
}
NAMES = [
    *["==", "===", "!=", "!==", ">", ">=", "<", "<=", "!!", "!", "%", "+", "*", "-", "/", "min", "max"],
    *[
        "if",
        "?:",
        "and",
        "or",
        "filter",
        "map",
        "reduce",
        "all",
        "some",
        "none",
        "merge",
        "in",
        "cat",
        "substr",
    ],
    *["var", "missing", "missing_some", "log"],
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
RULES = st.recursive(
    SCALARS | st.sampled_from([{"var": "list"}, {"var": "rows"}, {"var": ""}, {"var": "accumulator"}]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.builds(
            lambda name, args: {name: args}, st.sampled_from(NAMES), st.lists(inner, max_size=4) | inner
        )
    ),
    max_leaves=20,
)


def exactly(value: JsonValue) -> str:
    """Tells 1 from 1.0 and from true."""
    return json.dumps(value)


@pytest.mark.parametrize(("rule", "data", "expected"), OFFICIAL, ids=range(len(OFFICIAL)))
def test_the_official_table(rule: JsonValue, data: JsonValue, expected: JsonValue) -> None:
    assert exactly(evaluate(rule, data)) == exactly(expected)


def test_the_official_table_is_there() -> None:
    assert len(OFFICIAL) == 278


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({">": ["30", 25]}, True),
        ({"==": ["5", 5]}, True),
        ({"<": [None, 5]}, True),
        ({">": [25]}, False),
        ({"<": [25]}, False),
        ({">=": []}, False),
        ({"in": ["1", [1, 2]]}, False),
        ({"in": [True, [1, 2]]}, False),
        ({"in": [1, [1.0, 2]]}, True),
        ({"in": [None, ["a", None]]}, True),
        ({"in": [None, "a null"]}, True),
        ({"in": [{"and": []}, "undefined"]}, True),
        ({"in": [1, "a1"]}, True),
        ({"in": ["a", None]}, False),
        ({"in": ["", ""]}, False),
        ({"in": ["", "a"]}, True),
        ({"in": ["a"]}, False),
        ({"==": [None, {"and": []}]}, True),
        ({"===": [None, {"and": []}]}, False),
        ({"==": [None, 0]}, False),
        ({"==": [0, None]}, False),
        ({"==": [True, "1"]}, True),
        ({"==": [True, 1]}, True),
        ({"===": [True, 1]}, False),
        ({"===": [1, True]}, False),
        ({"===": [1, 1.0]}, True),
        ({"===": ["a", "a"]}, True),
        ({"==": ["a", "b"]}, False),
        ({"==": ["", 0]}, True),
        ({"==": [" 0x1F ", 31]}, True),
        ({"==": ["0b1e", 1]}, False),
        ({"==": ["1_0", 10]}, False),
        ({"==": ["nan", 1]}, False),
        ({"==": ["1e3", 1000]}, True),
        ({"==": ["-Infinity", {"max": []}]}, True),
        ({"==": ["Infinity", {"min": []}]}, True),
        ({">": ["0x" + "f" * 300, 1]}, True),
        ({"==": [[1], 1]}, True),
        ({"==": [[[1, 2]], "1,2"]}, True),
        ({"==": [[], [1]]}, False),
        ({"==": [{"var": "list"}, {"var": "list"}]}, True),
        ({"==": [{"var": "same"}, "[object Object]"]}, True),
        ({"==": [{"var": "big"}, 2**53]}, False),
        ({">": [{"var": "big"}, 2**53]}, True),
        ({"<": [{"var": "same"}, 1]}, False),
        ({"<": ["b", "a"]}, False),
        ({"<": ["a", "a"]}, False),
        ({"<=": ["a", "a"]}, True),
        ({"<": ["10", "9"]}, True),
        ({"<": ["\U0001f600", "\uffff"]}, True),
        ({"<": [1, 2, "x"]}, False),
        ({"!!": [{}]}, True),
        ({"!!": [{"+": ["x"]}]}, False),
        ({"!": []}, True),
        ({"and": []}, None),
        ({"log": "x"}, "x"),
    ],
)
def test_comparisons_coerce_as_javascript_does(rule: JsonValue, expected: JsonValue) -> None:
    assert exactly(evaluate(rule, DATA)) == exactly(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"+": ["3.5px", 1]}, 4.5),
        ({"+": []}, 0),
        ({"+": [True]}, None),
        ({"+": [[1, 2], 1]}, 2),
        ({"+": ["-Infinity"]}, None),
        ({"*": ["7"]}, "7"),
        ({"*": ["2", "x"]}, None),
        ({"*": [1e300, 1e300]}, None),
        ({"*": [10**400, 0]}, None),
        ({"-": ["5"]}, -5),
        ({"-": [True, None]}, 1),
        ({"-": [[3], "1"]}, 2),
        ({"-": [{"var": "same"}]}, None),
        ({"/": [1, 0]}, None),
        ({"/": [0, 0]}, None),
        ({"/": ["x", 0]}, None),
        ({"<": [{"/": [-1, 0]}, -1e308]}, True),
        ({"/": [1, 4]}, 0.25),
        ({"%": [-5, 3]}, -2),
        ({"%": [5, 0]}, None),
        ({"%": [{"/": [1, 0]}, 3]}, None),
        ({"%": [5.5, "2"]}, 1.5),
        ({"%": ["x", 2]}, None),
        ({"min": [1, "x"]}, None),
        ({"max": ["10", 9]}, 10),
        ({"max": [None, -1]}, 0),
        ({"+": [2**53, 2**53]}, 2.0**54),
        ({"cat": [1.0, None, True, [1, [2]], {"var": "same"}]}, "1true1,2[object Object]"),
        ({"substr": [None, 1]}, "ull"),
        ({"substr": ["abc", "x"]}, "abc"),
        ({"substr": ["abc", -9, -1]}, "ab"),
        ({"substr": ["abc", 1, -9]}, ""),
        ({"substr": ["abc", 0, 1e400]}, "abc"),
        ({"merge": [{"and": []}, [1]]}, [None, 1]),
        ([{"/": [1, 0]}, [{"+": ["x"]}]], [None, [None]]),
    ],
)
def test_calculation(rule: JsonValue, expected: JsonValue) -> None:
    assert exactly(evaluate(rule, DATA)) == exactly(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"var": "list.length"}, 3),
        ({"var": "text.length"}, 5),
        ({"var": "same.length"}, None),
        ({"var": ["no", {"+": [1, 1]}]}, 2),
        ({"var": ["list.2", 9]}, None),
        ({"missing": [["n", "no"], "text"]}, ["no"]),
        ({"missing_some": [1, "no"]}, ["no"]),
        ({"missing_some": ["x", ["n"]]}, []),
        ({"map": [{"var": "rows"}, {"var": "q"}]}, [1, 2]),
        ({"map": [{"var": "rows"}]}, [None, None]),
        ({"map": []}, []),
        ({"===": [{"reduce": [{"var": "rows"}]}, None]}, False),
        ({"filter": ["text", True]}, []),
        ({"reduce": [{"var": "rows"}, {"var": ""}]}, None),
        ({"some": [{"var": "no"}, True]}, False),
        ({"all": [{"var": "no"}, True]}, False),
        ({"none": [{"var": "no"}, True]}, True),
        ({"a": 1, "b": {"nope": 1}}, {"a": 1, "b": {"nope": 1}}),
        ({"if": [True, 1, {"nope": 1}]}, 1),
        ({"or": [1, {"nope": 1}]}, 1),
    ],
)
def test_data_and_lists(rule: JsonValue, expected: JsonValue) -> None:
    if rule == {"reduce": [{"var": "rows"}, {"var": ""}]}:
        first = {"current": {"q": 1}, "accumulator": None}
        expected = {"current": {"q": 2}, "accumulator": first}
    assert exactly(evaluate(rule, DATA)) == exactly(expected)


@pytest.mark.parametrize("rule", [{"nope": [1]}, {"": 1}, [{"if": [True, {"method": []}]}], {"*": []}])
def test_what_cannot_be_evaluated(rule: JsonValue) -> None:
    with pytest.raises(BadExpression):
        evaluate(rule, {})


def test_unknown_operators_are_listed_wherever_they_stand() -> None:
    rule: JsonValue = {"if": [True, [{"zig": 1}], {"zag": {"var": {"zig": []}}}], "ignored": {"zog": 1}}
    assert check(rule) == []
    assert check({"!": rule["if"]}) == ["zag", "zig"]
    assert operators({"and": [{"==": [{"var": "a"}, 1]}, {"x": 1}]}) == {"and", "==", "var", "x"}
    assert check([{name: []} for name in NAMES]) == []


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(None, False), (0, False), ("", False), ([], False), ("0", True), ([0], True), ({}, True), (-1.5, True)],
)
def test_truth(value: JsonValue, verdict: bool) -> None:
    assert truthy(value) is verdict


def nested(levels: int, innermost: JsonValue, operator: str) -> JsonValue:
    rule = innermost
    for _ in range(levels):
        rule = {operator: [rule, True]}
    return rule


@pytest.mark.parametrize("operator", ["!", "filter", "all", "some", "none", "if", "and"])
def test_nesting_is_bounded(operator: str) -> None:
    evaluate(nested(99, [], operator), {})
    with pytest.raises(BadExpression, match="nested more than 100"):
        evaluate(nested(10_000, [], operator), {})
    assert check(nested(10_000, {"nope": 1}, operator)) == ["nope"]


@pytest.mark.parametrize(
    "step",
    [
        {"cat": [{"var": "accumulator"}, {"var": "accumulator"}, "x" * 100]},
        {"merge": [{"var": "accumulator"}, {"var": "accumulator"}, 1]},
        [{"var": "accumulator"}, {"var": "accumulator"}],
        [{"var": ""}, {"var": ""}],
        {"var": ""},
        {"cat": [[{"var": "accumulator"}, {"var": "accumulator"}]]},
        {"<": [[{"var": "accumulator"}, {"var": "accumulator"}, {"var": "current"}], "x"]},
        {"reduce": [{"var": "current"}, {"+": [1, {"var": "accumulator"}]}, 0]},
    ],
)
def test_no_rule_grows_without_bound(step: JsonValue) -> None:
    items: JsonValue = [[1] * 2000] * 2000
    with pytest.raises(BadExpression, match=r"steps|nested"):
        evaluate({"reduce": [{"var": ""}, step, "x"]}, items)


def test_shared_parts_of_a_result_are_paid_for() -> None:
    double: JsonValue = [{"var": "accumulator"}, {"var": "accumulator"}]
    rule: JsonValue = {"reduce": [{"var": ""}, double, 1]}
    assert evaluate(rule, [0] * 3) == [[[1, 1], [1, 1]], [[1, 1], [1, 1]]]
    with pytest.raises(BadExpression, match="steps"):
        evaluate(rule, [0] * 60)
    with pytest.raises(BadExpression, match="steps"):
        evaluate({"==": [rule, 1]}, [0] * 60)


@pytest.mark.parametrize(
    "rule",
    [
        {"in": ["c", {"var": "text"}]},
        {"in": [{"var": "text"}, [1, {"var": "copy"}]]},
        {"<": [{"var": "copy"}, {"var": "text"}]},
        {"==": [{"var": "text"}, {"var": "copy"}]},
        {"===": [{"var": "text"}, {"var": "copy"}]},
        {"==": [{"var": "text"}, 1]},
    ],
)
def test_large_texts_are_paid_for(rule: JsonValue) -> None:
    data: JsonValue = {"text": "a" * 1_000_000, "copy": "a" * 999_999 + "b"}
    assert evaluate(rule, data) in (True, False)
    with pytest.raises(BadExpression, match="steps"):
        evaluate({"map": [{"var": ""}, rule]}, [data] * 1000)


def test_ordinary_sizes_are_within_the_bounds() -> None:
    rows: JsonValue = [{"q": number} for number in range(20_000)]
    assert (
        len(evaluate({"filter": [{"var": "rows"}, {">=": [{"var": "q"}, 10_000]}]}, {"rows": rows})) == 10_000
    )
    deep: JsonValue = [rows]
    for _ in range(150):
        deep = [deep]
    assert evaluate({"var": "x"}, {"x": deep}) is deep


@given(RULES, SCALARS | st.just(DATA))
def test_evaluate_answers_json_or_raises_bad_expression(rule: JsonValue, data: JsonValue) -> None:
    assert check(rule) == []
    try:
        result = evaluate(rule, data)
    except BadExpression:
        return
    json.dumps(result, allow_nan=False)


@given(SCALARS, SCALARS)
def test_comparisons_agree_with_each_other(left: JsonValue, right: JsonValue) -> None:
    pair: list[JsonValue] = [left, right]
    assert evaluate({"!=": pair}, {}) is not evaluate({"==": pair}, {})
    assert evaluate({"!==": pair}, {}) is not evaluate({"===": pair}, {})
    assert evaluate({"==": pair}, {}) is evaluate({"==": pair[::-1]}, {})
    assert evaluate({"<": pair}, {}) is evaluate({">": pair[::-1]}, {})
    assert evaluate({"<=": pair}, {}) is evaluate({">=": pair[::-1]}, {})
    if evaluate({"===": pair}, {}):
        assert evaluate({"==": pair}, {})


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ({"type": "equals", "value": 5}, ["5", 5], [6, None]),
        ({"type": "notEquals", "value": "a"}, ["b"], ["a"]),
        ({"type": "lt", "value": 5}, [4, None], [5]),
        ({"type": "lte", "value": 5}, [5], [6]),
        ({"type": "gt", "value": 25}, ["30"], [25, None]),
        ({"type": "gte", "value": 5}, [5], [4]),
        ({"type": "in", "values": [1, 2]}, [1], ["1", 3]),
        ({"type": "in", "value": ["a"]}, ["a"], ["b"]),
        ({"type": "between", "min": 1, "max": 3, "inclusive": True}, [1, 3], [0, 4]),
        ({"type": "between", "min": 1, "max": 3}, [1, 3], [0, 4]),
        ({"type": "between", "min": 1, "max": 3, "inclusive": False}, [2], [1, 3]),
        ({"type": "match", "value": "ba"}, ["dubai"], ["oslo", None]),
        ({"type": "before", "value": "2026-01-31"}, ["2026-01-30"], ["2026-01-31"]),
        ({"type": "after", "value": "2026-01-31"}, ["2026-02-01"], ["2026-01-31"]),
        ({"type": "between", "min": "2026-01-01", "max": "2026-01-31"}, ["2026-01-31"], ["2026-02-01"]),
        ({"type": "regex", "value": "a"}, [], ["a"]),
        ({}, [], ["a"]),
    ],
)
def test_the_rule_builders_rules(rule: JsonValue, good: list[JsonValue], bad: list[JsonValue]) -> None:
    logic = rule_of(None, {"kind": "text", "rules": [rule]})
    assert [holds(logic, value) for value in good] == [True] * len(good)
    assert [holds(logic, value) for value in bad] == [False] * len(bad)


def test_rules_are_combined_by_all_or_any() -> None:
    rules: JsonValue = [{"type": "gt", "value": 1}, {"type": "lt", "value": 5}]
    assert [holds(rule_of(None, {"rules": rules}), value) for value in (0, 3, 9)] == [False, True, False]
    assert [holds(rule_of(None, {"rules": rules, "combiner": "any"}), n) for n in (0, 3, 9)] == [True] * 3


@pytest.mark.parametrize("config", [None, "x", {}, {"rules": []}, {"rules": "x"}, {"rules": ["x", None]}])
def test_no_rules_hold_of_everything(config: JsonValue) -> None:
    assert rule_of(None, config) is None
    assert holds(rule_of(None, config), "anything")


def test_logic_wins_over_the_builders_form() -> None:
    assert rule_of(False, {"rules": [{"type": "gt", "value": 1}]}) is False


def test_unknown_rule_types_are_unknown_operators() -> None:
    assert check(rule_of(None, {"rules": [{"type": "regex", "value": "a+"}]})) == ["regex"]


def test_a_violation_says_why() -> None:
    rule: JsonValue = {"if": [{">": [{"var": "value"}, 5]}, True, "at most five"]}
    assert violation(rule, 6) is None
    assert violation(rule, 5) == "at most five"
    assert violation({"cat": []}, 5) == "does not keep its rule"
    assert violation(False, 5) == "does not keep its rule"
    assert violation({"nope": 1}, 5) == "has a rule that cannot be evaluated: Unknown operator 'nope'."
    assert violation(None, 5) is None
