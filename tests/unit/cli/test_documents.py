from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from headrace.cli.documents import (
    is_definition,
    read_definition,
    read_input,
    require_valid_definition,
    warnings_of,
)
from headrace.cli.errors import WrongUse
from headrace.errors import InvalidDefinition
from headrace.graph.json_types import JsonObject
from headrace.samples import load_samples

FLAT: JsonObject = {"nodes": [{"id": "a", "type": "notification", "name": "A", "config": {}}], "edges": []}


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_definition_without_a_name_gets_the_files(tmp_path: Path) -> None:
    assert read_definition(write(tmp_path / "greet.json", FLAT)) == FLAT | {"name": "greet"}


def test_what_stands_under_workflow_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "greet.json", {"name": "Hi", "workflow": FLAT | {"name": "other"}})
    assert read_definition(path) == FLAT | {"name": "Hi"}


@pytest.mark.parametrize("text", ["{", "[1]", '"text"', "\x80"])
def test_what_is_no_definition_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(WrongUse, match=r"bad\.json"):
        read_definition(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"none\.json cannot be read: No such file"):
        read_definition(tmp_path / "none.json")


def test_an_input_is_json_or_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "input.json", {"a": 1})
    assert read_input('{"b": [2]}') == {"b": [2]}
    assert read_input(f"@{path}") == {"a": 1}
    with pytest.raises(WrongUse, match="--input is not JSON"):
        read_input("{b}")


YAML = """
name: Hi
nodes:
- {id: a, type: notification, name: A, config: {}}
edges: []
"""


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_yaml_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"greet.{suffix}"
    path.write_text(YAML)
    assert read_definition(path) == FLAT | {"name": "Hi"}
    assert read_input(f"@{path}") == FLAT | {"name": "Hi"}


@pytest.mark.parametrize("text", [YAML, json.dumps(FLAT | {"name": "Hi"}), f"\n {json.dumps(FLAT)}"])
def test_stdin_is_read(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    name = "Hi" if "Hi" in text else "stdin"
    assert read_definition(Path("-")) == FLAT | {"name": name}


def test_bad_yaml_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("nodes: []\nnodes: []")
    with pytest.raises(WrongUse, match=r"bad\.yaml is not YAML .*: line 2, column 1: the key 'nodes'"):
        read_definition(path)
    monkeypatch.setattr("sys.stdin", io.StringIO("- 1"))
    with pytest.raises(WrongUse, match="stdin holds no workflow"):
        read_definition(Path("-"))


def test_what_names_a_definition(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    assert not is_definition(str(path))
    path.write_text("{}")
    assert all(map(is_definition, ("-", "a.json", "b.yaml", "c.yml", str(path))))


def test_definitions_are_checked_as_the_api_does() -> None:
    for sample in load_samples():
        definition = require_valid_definition(sample.definition)
        assert (definition.name, warnings_of(definition)) == (sample.name, [])
    with pytest.raises(InvalidDefinition) as refused:
        require_valid_definition(FLAT | {"name": "x", "edges": [{"source": "a", "target": "nowhere"}]})
    assert any("nowhere" in problem.message for problem in refused.value.problems)
