"""YAML as another way to write JSON."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidInput, Problem
from headrace.graph import yaml_text
from headrace.graph.definition import parse
from headrace.graph.edges import On
from headrace.graph.json_types import JsonValue
from headrace.graph.yaml_text import DEEPEST, read_yaml

WORKFLOW = """
name: Ask twice
nodes:
  - {id: ask, type: apiCall, retry: &patient {maxAttempts: 5, initial: 30s}}
  - {id: again, type: apiCall, retry: *patient}
  - id: tell
    type: notification
    config:
      template: |
        No answer: {{error.message}}
edges:
  - {source: ask, target: again, on: failure}
  - source: again
    target: tell
    on: failure
"""


@pytest.fixture(params=[yaml.SafeLoader, yaml_text._LOADER], ids=["python", "c"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both of PyYAML's parsers: not every build has the one in C."""
    monkeypatch.setattr(yaml_text, "_LOADER", request.param)


def problem_of(text: str | bytes, largest: int = yaml_text.LARGEST) -> Problem:
    with pytest.raises(InvalidInput) as caught:
        read_yaml(text, largest)
    [problem] = caught.value.problems
    return problem


def test_a_workflow() -> None:
    definition = parse(read_yaml(WORKFLOW))
    assert [edge.on for edge in definition.edges] == [On.FAILURE, On.FAILURE]
    assert [node.retry.max_attempts for node in definition.nodes] == [5, 5, 3]
    assert definition.nodes[2].config == {"template": "No answer: {{error.message}}\n"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("- null\n- Null\n-", [None, None, None]),
        ("[true, False, TRUE]", [True, False, True]),
        ("[on, off, yes, No, y]", ["on", "off", "yes", "No", "y"]),
        ("on: failure", {"on": "failure"}),
        ("{1: a, true: b, ~: c, 1.0: d}", {"1": "a", "true": "b", "~": "c", "1.0": "d"}),
        ("[0, -7, 1.5, 1e3, 2E-1]", [0, -7, 1.5, 1000.0, 0.2]),
        (
            "[010, 0x1F, 0o17, 1_000, 1:30, .5, .inf, .nan, +1]",
            ["010", "0x1F", "0o17", "1_000", "1:30", ".5", ".inf", ".nan", "+1"],
        ),
        ("[2026-11-21, 2026-11-21T10:00:00Z]", ["2026-11-21", "2026-11-21T10:00:00Z"]),
        ("['1', \"true\", !!str 5, '']", ["1", "true", "5", ""]),
        ("= : =", {"=": "="}),
        ("'<<': {a: 1}", {"<<": {"a": 1}}),
        ("a: &x [1]\nb: *x\nc: {d: *x}", {"a": [1], "b": [1], "c": {"d": [1]}}),
        ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        ("%YAML 1.1\n---\non: no\n...\n", {"on": "no"}),
        ("Grüße: ☕".encode(), {"Grüße": "☕"}),
        ("a: 1".encode("utf-16"), {"a": 1}),
    ],
)
def test_what_it_says(text: str | bytes, value: JsonValue) -> None:
    assert read_yaml(text) == value


TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_is_yaml(value: JsonValue) -> None:
    assert read_yaml(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("nodes:\n- id: a\n  id: b", "nodes[0]", "line 3, column 3: the key 'id' is there twice"),
        ("{1: a, '1': b}", "", "line 1, column 8: the key '1' is there twice"),
        ("a: !!python/none {}", "a", "line 1, column 4: the tag tag:yaml.org,2002:python/none is not read"),
        ("- !!int 5", "[0]", "line 1, column 3: the tag tag:yaml.org,2002:int is not read"),
        ("!x a: 1", "", "line 1, column 1: the tag !x is not read"),
        ("a: 1\n---\nb: 2", "", "line 2, column 1: a second document begins"),
        ("? [a]\n: b", "", "line 1, column 3: a list or mapping cannot be a key"),
        ("- &x a\n- *x : b", "[1]", "line 2, column 3: an alias cannot be a key"),
        ("<<: {a: 1}", "", "line 1, column 1: merge keys are not read"),
        ("[&x 1, &x [*x]]", "[1][0]", "line 1, column 12: the alias *x repeats nothing finished before it"),
        ("a: &x [*x]", "a[0]", "line 1, column 8: the alias *x repeats nothing finished before it"),
        ("a: 1e999", "a", "line 1, column 4: the number is too large"),
        ("a: " + "9" * 401, "a", "line 1, column 4: the number is too long"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, path: str, message: str) -> None:
    problem = problem_of(text)
    assert (problem.path, problem.message) == (path, message)


@pytest.mark.parametrize(
    "text", ["a: [", "\tb: a", "a: 'b", b"\xff\xfe\x00", "a: \x00", b"a: \xff", "a: \ud800"]
)
def test_what_is_no_yaml_is_a_problem(text: str | bytes) -> None:
    assert problem_of(text).message


def test_a_long_number_is_a_number() -> None:
    assert read_yaml("9" * 400) == int("9" * 400)


def test_depth() -> None:
    assert problem_of("[" * 200_000).message.endswith(f"nested more than {DEEPEST} levels deep")
    assert read_yaml("[" * DEEPEST + "]" * DEEPEST)


def test_what_aliases_repeat_counts() -> None:
    lines = ["a0: &a0 lol", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))]
    assert "too large, aliases written out" in problem_of("\n".join(lines)).message
    text = "a: &a 12345\nb: *a"
    assert read_yaml(text, largest=60) == {"a": 12345, "b": 12345}
    assert problem_of(text, largest=59).path == "b"


def test_what_is_written_out_counts() -> None:
    assert read_yaml("[abc]", largest=35) == ["abc"]
    assert problem_of("[abc]", largest=34).path == "[0]"
    assert problem_of("{abcdef: 1}", largest=20).path == ""
