from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.reshape import chunks, groups, merged, picked
from headrace.nodes.transform import Transform, TransformConfig

from .conftest import context, lines

pytestmark = pytest.mark.anyio

PEOPLE: list[JsonValue] = [
    {"name": "Ada", "age": 36, "home": {"city": "London"}},
    {"name": "Alan", "age": 41, "home": {"city": "London"}},
    {"name": "Grace", "age": 85, "home": {"city": "Arlington"}},
]


def transform(operation: str, **config: JsonValue) -> TransformConfig:
    return TransformConfig.model_validate({"operation": operation, **config})


async def output(config: TransformConfig, given: JsonValue) -> JsonValue:
    outcome = await Transform().start(context(given), config)
    assert isinstance(outcome, Done), outcome
    return outcome.output


@pytest.mark.parametrize(
    ("operation", "data", "result"),
    [
        ("uppercase", "Straße äx", "STRASSE ÄX"),
        ("lowercase", "ÄX", "äx"),
        ("reverse", "abc😀", "😀cba"),
        ("json-parse", '{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("json-parse", '"x\\u0000\\ud800"', "x\ufffd"),
        ("json-stringify", {"a": [1, {}], "ä": []}, '{\n  "a": [\n    1,\n    {}\n  ],\n  "ä": []\n}'),
        ("json-stringify", "text", '"text"'),
        ("json-stringify", 1.0, "1"),
        ("json-stringify", None, "null"),
        ("uppercase", 5, 5),
        ("lowercase", ["A"], ["A"]),
        ("reverse", [1, 2], [1, 2]),
        ("json-parse", {"a": 1}, {"a": 1}),
        ("json-parse", None, None),
    ],
)
async def test_texts(operation: str, data: JsonValue, result: JsonValue) -> None:
    assert await output(transform(operation), data) == result
    assert await output(transform(operation, data="${x}"), {"x": data}) == result


@pytest.mark.parametrize("text", ["{", "", "NaN", "1e999", "[" * 100_000])
async def test_what_is_no_json_fails_and_another_attempt_cannot_help(text: str) -> None:
    outcome = await Transform().start(context(text), transform("json-parse"))

    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == ("BadData", False)
    assert outcome.message.startswith("json-parse: the text is no JSON: ")


@pytest.mark.parametrize(
    ("config", "result"),
    [
        (transform("map", expression={"var": "item.name"}), ["Ada", "Alan", "Grace"]),
        (transform("map", expression={"+": [{"var": "index"}, 1]}), [1, 2, 3]),
        (transform("filter", expression={"<": [{"var": "item.age"}, 50]}), PEOPLE[:2]),
        (transform("filter", expression={"var": "index"}), PEOPLE[1:]),
        (
            transform(
                "reduce", expression={"+": [{"var": "accumulator"}, {"var": "item.age"}]}, initialValue=0
            ),
            162,
        ),
        (transform("reduce", expression={"max": [{"var": "accumulator"}, {"var": "item.age"}]}), 85),
        (
            transform("split", splitStrategy="by_condition", expression={">": [{"var": "item.age"}, 40]}),
            {"matched": PEOPLE[1:], "unmatched": PEOPLE[:1]},
        ),
        (
            transform("split", splitStrategy="by_key", key="home.city"),
            {"London": PEOPLE[:2], "Arlington": PEOPLE[2:]},
        ),
        (transform("split", size=2), [PEOPLE[:2], PEOPLE[2:]]),
        (
            transform("pick", paths=["name", "home.city"]),
            [
                {"name": "Ada", "city": "London"},
                *[{"name": "Alan", "city": "London"}, {"name": "Grace", "city": "Arlington"}],
            ],
        ),
    ],
)
async def test_lists(config: TransformConfig, result: JsonValue) -> None:
    assert await output(config, PEOPLE) == result
    assert list(Transform().check(config)) == []


@pytest.mark.parametrize(
    ("config", "empty"),
    [
        (transform("map", expression=1), []),
        (transform("filter", expression=1), []),
        (transform("reduce", expression=1, initialValue="${gone?}"), None),
        (transform("reduce", expression=1, initialValue={"n": 0}), {"n": 0}),
        (transform("split"), []),
        (transform("split", splitStrategy="by_key", key="a"), {}),
        (transform("split", splitStrategy="by_condition", expression=1), {"matched": [], "unmatched": []}),
        (transform("merge"), {}),
        (transform("merge", mergeStrategy="array"), []),
        (transform("pick", paths=["a"]), []),
    ],
)
async def test_empty_lists(config: TransformConfig, empty: JsonValue) -> None:
    assert await output(config, []) == empty


@pytest.mark.parametrize("operation", ["map", "filter", "reduce", "merge", "split"])
async def test_what_needs_a_list_fails_without_one(operation: str) -> None:
    outcome = await Transform().start(context({"a": 1}), transform(operation, expression=1))

    assert outcome == Failed(
        f"{operation}: the data must be a list, it is an object", kind="BadData", retryable=False
    )


LEFT: JsonObject = {"a": {"x": 1, "y": {"p": 1}}, "l": [1], "n": 1}
RIGHT: JsonObject = {"a": {"y": {"q": 2}, "z": 3}, "l": [2], "n": {"m": 1}}


@pytest.mark.parametrize(
    ("strategy", "result"),
    [
        ("deep", {"a": {"x": 1, "y": {"p": 1, "q": 2}, "z": 3}, "l": [2], "n": {"m": 1}}),
        ("shallow", RIGHT),
        ("array", [LEFT, RIGHT]),
    ],
)
async def test_merging(strategy: str, result: JsonValue) -> None:
    config = transform("merge", mergeStrategy=strategy, sources=["${a}", "${gone?}", "${b}"])

    assert await output(config, {"a": LEFT, "b": RIGHT}) == result
    assert await output(transform("merge", mergeStrategy=strategy), [LEFT, None, RIGHT]) == result


async def test_merging_lists_makes_one_list() -> None:
    assert merged([[1, [2]], 3, None, [4]], "array") == [1, [2], 3, 4]


async def test_merging_leaves_its_sources_as_they_were() -> None:
    left, right = json.loads(json.dumps(LEFT)), json.loads(json.dumps(RIGHT))
    merged([left, right], "deep")

    assert (left, right) == (LEFT, RIGHT)


async def test_only_objects_are_merged_into_one() -> None:
    outcome = await Transform().start(context([{}, 5]), transform("merge"))

    assert outcome == Failed(
        "merge: only objects can be merged, not a number", kind="BadData", retryable=False
    )


@pytest.mark.parametrize(
    ("paths", "result"),
    [
        (["name", "home.city", "gone"], {"name": "Ada", "city": "London"}),
        ({"who": "name", "where": "home.city", "no": "gone"}, {"who": "Ada", "where": "London"}),
        (["tags[0]"], {"0": "x"}),
        (["home"], {"home": {"city": "London"}}),
        ([], {}),
    ],
)
def test_picking(paths: JsonValue, result: JsonValue) -> None:
    assert picked({"name": "Ada", "home": {"city": "London"}, "tags": ["x"]}, paths) == result
    assert picked(5, paths) == {}


def test_a_null_is_picked_a_missing_key_is_not() -> None:
    assert picked({"a": None}, ["a", "b"]) == {"a": None}


def test_groups_are_texts_in_the_order_of_appearance() -> None:
    items: list[JsonValue] = [{"k": 2}, {"k": "b"}, {"k": 2.0}, {}, 7]

    assert list(groups(items, "k").items()) == [
        ("2", [{"k": 2}, {"k": 2.0}]),
        ("b", [{"k": "b"}]),
        ("", [{}, 7]),
    ]


async def test_a_template_keeps_types_and_makes_text() -> None:
    one = context({"n": 5, "rows": [1]}, run={"id": "r7"})
    config = transform("template", template={"n": "${n}", "rows": "${rows}", "t": "{{run.id}}: {{n}}"})

    assert await Transform().start(one, config) == Done({"n": 5, "rows": [1], "t": "r7: 5"})
    assert lines(one) == [("transform", "Applied template")]


async def test_a_missing_reference_fails() -> None:
    outcome = await Transform().start(context({}), transform("template", template="${gone}"))

    assert outcome == Failed("'gone' does not exist.", kind="MissingReference", retryable=False)


async def test_an_expression_that_takes_too_long_fails() -> None:
    rule: JsonValue = {"cat": [{"var": "accumulator"}, {"var": "accumulator"}, "x"]}
    config = transform("reduce", expression=rule, initialValue="")

    outcome = await Transform().start(context([0] * 200), config)

    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == ("BadExpression", False)


async def test_a_long_list_lets_others_run() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await output(transform("map", expression={"var": "item"}), [*range(10_000)])
    counting.cancel()

    assert turns >= 90


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({"operation": "map"}, ["expression"]),
        ({"operation": "filter"}, ["expression"]),
        ({"operation": "reduce"}, ["expression"]),
        ({"operation": "split", "splitStrategy": "by_condition"}, ["expression"]),
        ({"operation": "map", "expression": {"nope": 1}}, ["expression"]),
        ({"operation": "pick", "paths": "a"}, ["paths"]),
        ({"operation": "pick", "paths": [5]}, ["paths"]),
        ({"operation": "pick", "paths": {"a": ""}}, ["paths"]),
        ({"operation": "split"}, []),
        ({"operation": "pick", "paths": {"a": "b.c"}}, []),
    ],
)
def test_what_is_wrong_with_a_config(config: JsonObject, paths: list[str]) -> None:
    assert [one.path for one in Transform().check(TransformConfig.model_validate(config))] == paths


async def test_names_of_other_systems() -> None:
    config = TransformConfig.model_validate({"transformation": "uppercase", "data": "x"})
    other = TransformConfig.model_validate(
        {"operation": "merge", "merge_strategy": "array", "input_sources": [[1], [2]]}
    )

    assert await output(config, None) == "X"
    assert await output(other, None) == [1, 2]


@given(items=st.lists(st.integers()), size=st.integers(1, 5))
def test_chunks_hold_all_items_in_order(items: list[JsonValue], size: int) -> None:
    parts = chunks(items, size)

    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)


@given(items=st.lists(st.integers(-5, 5)))
async def test_by_condition_loses_nothing(items: list[JsonValue]) -> None:
    rule: JsonValue = {">": [{"var": "item"}, 0]}
    config = transform("split", splitStrategy="by_condition", expression=rule)
    parts: Outcome = await Transform().start(context(items), config)
    kept = await output(transform("filter", expression=rule), items)

    assert isinstance(parts, Done)
    assert isinstance(parts.output, dict)
    assert parts.output["matched"] == kept == [item for item in items if isinstance(item, int) and item > 0]
    assert parts.output["unmatched"] == [item for item in items if isinstance(item, int) and item <= 0]
