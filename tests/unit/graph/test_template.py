"""Placeholders: what they name, and what a value becomes as text, inside JSON and as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadExpression, MissingReference, Problem
from headrace.graph.json_types import JsonValue
from headrace.graph.template import (
    MISSING,
    Rendered,
    Scope,
    lookup,
    parent_references,
    references,
    render,
    render_json,
    resolve,
    unknown_roots,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
PATHS = st.lists(st.sampled_from(["a", "nodes", ".", "[0]", "['a']", "[", "]", " ", "?", "{", "\\"])).map(
    "".join
)


def scope(own: JsonValue, /, **names: JsonValue) -> Scope:
    return Scope(own, names)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("city", "Dubai"),
        (" city ", "Dubai"),
        ("rows[1].name", "b"),
        ("rows.1.name", "b"),
        ("['a.b']", 1),
        ('["a.b"]', 1),
        ('[\\"a.b\\"]', 1),
        ("deep['x y'].z", None),
        ("first name", "F"),
        ("", MISSING),
        ("rows[2]", MISSING),
        ("rows[01]", MISSING),
        ("rows[-1]", MISSING),
        ("rows." + "9" * 5000, MISSING),
        ("rows.length", MISSING),
        ("city.length", MISSING),
        ("city[0]", MISSING),
        ("city.constructor", MISSING),
        ("rows..name", MISSING),
        ("rows[", MISSING),
        ("deep['x y'].z.more", MISSING),
        ("nothing", MISSING),
    ],
)
def test_lookup_names_own_keys_and_items(path: str, expected: JsonValue) -> None:
    value: JsonValue = {
        "city": "Dubai",
        "rows": [{"name": "a"}, {"name": "b"}],
        "a.b": 1,
        "deep": {"x y": {"z": None}},
        "first name": "F",
    }
    assert lookup(path, value) == expected


def test_lookup_reads_a_list_that_is_the_whole_value() -> None:
    assert lookup("[1]", ["a", "b"]) == "b"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (None, ""),
        ("a {{b}}", "a {{b}}"),
        (0, "0"),
        (12345678901234567890, "12345678901234567890"),
        (10**21, "1e+21"),
        pytest.param(10**5000, "Infinity", id="huge"),
        pytest.param(-(10**5000), "-Infinity", id="-huge"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e16, "10000000000000000"),
        (-1.5e20, "-150000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000015, "0.000015"),
        (-0.000001, "-0.000001"),
        (1e-7, "1e-7"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ({"a": 1}, "[object Object]"),
        ([], ""),
        ([1, [2, [None, "x"]], [], {}], "1,2,,x,,[object Object]"),
    ],
)
def test_render_writes_values_as_javascript_does(value: JsonValue, text: str) -> None:
    assert render("<{{ v }}>", scope({"v": value})).text == f"<{text}>"


def test_render_reports_what_is_missing_once_and_null_not_at_all() -> None:
    got = render("{{a}}{{ b.c }}{{b.c}}{{n}}{{}}", scope({"n": None}))
    assert got == Rendered("", ("a", "b.c", ""))


def test_render_leaves_other_braces_alone() -> None:
    assert render("{a} {{{a}}} {{ {a}", scope({"a": 1})).text == "{a} {1} {{ {a}"


def test_the_nodes_own_input_wins_over_names() -> None:
    inside = scope({"input": {"x": "own"}, "nodes": 1}, input={"x": "run"}, nodes={"n": {"output": "o"}})
    assert render("{{input.x}}", inside).text == "own"
    assert render("{{nodes.n.output}}", inside).missing == ("nodes.n.output",)


def test_names_are_reached_when_the_input_has_no_such_key() -> None:
    names = scope(
        [7],
        input={"x": "run"},
        nodes={"a.b": {"output": {"y": 1}}, "n-1_x": {"output": 2}},
        parents={"p": 3},
        item={"k": 4},
        index=0,
    )
    assert render("{{[0]}} {{input.x}} {{parents.p}} {{item.k}} {{index}}", names) == Rendered("7 run 3 4 0")
    assert render("{{nodes['a.b'].output.y}} {{nodes.n-1_x.output}}", names) == Rendered("1 2")


def test_a_json_body_stays_json() -> None:
    body = (
        '{"age": {{age}}, "name": "Mr. {{name}}", "q": "\\"{{ nodes[\\"a.b\\"].output }}\\\\",'
        ' "tags": {{tags}}, "no": {{no}}}'
    )
    values = scope({"age": 3, "name": 'a"b\n\\', "tags": ["é", {"x": None}]}, nodes={"a.b": {"output": "o"}})
    got = render_json(body, values)
    assert json.loads(got.text) == {
        "age": 3,
        "name": 'Mr. a"b\n\\',
        "q": '"o\\',
        "tags": ["é", {"x": None}],
        "no": None,
    }
    assert got.missing == ("no",)


def test_a_json_string_gets_values_as_text() -> None:
    got = render_json('["{{t}}", "{{l}}", "{{n}}", "{{no}}"]', scope({"t": True, "l": [1, "a"], "n": None}))
    assert json.loads(got.text) == ["true", "1,a", "", ""]


def test_numbers_that_json_lacks_become_null() -> None:
    got = render_json("[{{a}}, {{b}}]", scope({"a": float("nan"), "b": {"x": [float("inf"), "é"]}}))
    assert got.text == '[null, {"x": [null, "é"]}]'


@given(JSON_VALUES)
def test_a_json_body_is_json_with_any_value(value: JsonValue) -> None:
    got = render_json('{"a": {{v}}, "b": "x{{v}}\\"", "c": [{{v}}, "{{v}}"]}', scope({"v": value}))
    parsed = json.loads(got.text, parse_constant=pytest.fail)
    assert parsed["b"] == "x" + parsed["c"][1] + '"'
    assert parsed["c"][1] == render("{{v}}", scope({"v": value})).text


@given(st.text() | PATHS.map(lambda path: f"a{{{{{path}}}}}b"), JSON_VALUES)
def test_render_never_raises(text: str, value: JsonValue) -> None:
    everything = scope(value, nodes={"a": value}, a=value)
    assert isinstance(render(text, everything).text, str)
    assert isinstance(render_json(text, everything).text, str)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${l}", [1, None]),
        ("${ l[0] }", 1),
        ("${n}", None),
        ("a ${s} ${l} ${o} ${n} ${t} ${f}", 'a text [1, null] {"k": "v"} null true 1'),
        ("${no?}", None),
        ("${no.deep ?}", None),
        ("a${no?}", "anull"),
        ("${s?}", "text"),
        ("$${s}", "${s}"),
        ("$${", "${"),
        ("$$${s}", "$${s}"),
        ("${s", "${s"),
        ("${s}${s}", "texttext"),
        ("${e}", "${s}"),
        ({"${s}": ["${s}", 1, {"x": "${f}"}]}, {"${s}": ["text", 1, {"x": 1.0}]}),
        (None, None),
    ],
)
def test_resolve(value: JsonValue, expected: JsonValue) -> None:
    values: JsonValue = {
        "s": "text",
        "l": [1, None],
        "o": {"k": "v"},
        "n": None,
        "t": True,
        "f": 1.0,
        "e": "${s}",
    }
    assert resolve(value, scope(values)) == expected


@pytest.mark.parametrize("text", ["${a.b}", "x ${ a.b } y"])
def test_resolve_names_what_is_missing(text: str) -> None:
    with pytest.raises(MissingReference, match=r"'a\.b' does not exist"):
        resolve({"deep": [text]}, scope({"a": 1}))


def test_resolve_bounds_the_depth() -> None:
    nested: JsonValue = "${a}"
    for _ in range(200):
        nested = [nested]
    assert resolve(nested, scope({"a": 1})) != nested
    with pytest.raises(BadExpression, match="200 levels"):
        resolve({"x": nested}, scope({"a": 1}))


@given(JSON_VALUES.filter(lambda value: "${" not in repr(value)))
def test_resolve_keeps_what_has_no_placeholder(value: JsonValue) -> None:
    assert repr(resolve(value, scope({}))) == repr(value)


@given(st.dictionaries(st.text("ab", min_size=1), st.none() | st.integers() | FINITE | st.text(), min_size=1))
def test_resolve_alone_keeps_the_value(values: dict[str, JsonValue]) -> None:
    for key, value in values.items():
        assert resolve("${" + key + "}", scope(values)) == value


def test_names_that_are_never_there() -> None:
    value: JsonValue = {"a": ["${data.x} ${date.y?}", 1], "b": "${[0]} $${z} {{q}}", "c": "${name}"}
    assert unknown_roots(value, ("data", "name"), "input") == [
        Problem("input", "`${[0]}` names nothing", "known: data, name"),
        Problem("input", "`${date.y}` names nothing", "known: data, name"),
    ]
    assert unknown_roots(None, (), "input") == []


def test_references_are_found_anywhere() -> None:
    config: JsonValue = {
        "a": "{{nodes.one.output}} ${nodes.two?}",
        "b": ["x {{ nodes['a.b'].output }}", {"c": '{{nodes["c d"]}}', "j": '"{{nodes[\\"q\\"].x}}"'}],
        "${nodes.key}": 1,
        "d": "$${nodes.escaped} {{nodes}} {{data.nodes.inner}} nodes.bare",
        "p": "{{parents.p.output}} ${parents['x y']}",
        "e": None,
    }
    assert references(config) == {"one", "two", "a.b", "c d", "q"}
    assert parent_references(config) == {"p", "x y"}
