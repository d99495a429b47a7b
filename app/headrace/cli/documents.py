"""What users hand over: definitions in files or on stdin, inputs as JSON or as a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from headrace.cli.errors import WrongUse, show_problem
from headrace.engine.program import Rules
from headrace.errors import InvalidInput, Problem
from headrace.graph.definition import Definition, parse
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.soundness import soundness
from headrace.graph.validate import require_valid
from headrace.graph.yaml_text import read_yaml
from headrace.nodes.builtin import builtin

STDIN = "-"
_YAML = (".yaml", ".yml")
SUFFIXES = (".json", *_YAML)


def is_definition(what: str) -> bool:
    """Whether it names a definition in a file or on stdin, and not a workflow that is stored."""
    return what == STDIN or what.endswith(SUFFIXES) or Path(what).is_file()


def read_definition(path: Path) -> JsonObject:
    """The definition in a file or on stdin, `-`; without a name of its own it gets the file's.

    Raises WrongUse.
    """
    document = _object(path)
    inner = document.pop("workflow", None)
    return {"name": _name(path)} | (inner if isinstance(inner, dict) else {}) | document


def read_foreign_definition(path: Path) -> JsonObject:
    """The same for a definition of another system: only its name is looked at. Raises WrongUse."""
    return {"name": _name(path)} | _object(path)


def read_document(path: Path) -> JsonValue:
    """The JSON or YAML in a file or on stdin, `-`. Raises WrongUse."""
    text = sys.stdin.read() if str(path) == STDIN else text_of(path)
    is_yaml = path.suffix in _YAML or (str(path) == STDIN and not text.lstrip().startswith("{"))
    return _read_yaml(text, shown(path)) if is_yaml else read_json(text, shown(path))


def require_valid_definition(document: JsonValue, rules: Rules | None = None) -> Definition:
    """Checks a definition as the API does, without one. Raises InvalidDefinition with every problem."""
    definition = parse(document)
    require_valid(definition, rules or Rules(builtin()))
    return definition


def warnings_of(definition: Definition, rules: Rules | None = None) -> list[Problem]:
    """What of a valid definition will surprise."""
    rules = rules or Rules(builtin())
    return [*soundness(definition, rules), *rules.all_cautions(definition)]


def read_input(text: str, option: str = "--input") -> JsonValue:
    """JSON, or the JSON or YAML in the file that `@path` names. option: where it stood. Raises WrongUse."""
    if text.startswith("@"):
        return read_document(Path(text[1:]))
    return read_json(text, option)


def read_json(text: str, where: str) -> JsonValue:
    """Raises WrongUse that says where the text stops being JSON."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise WrongUse(f"{where} is not JSON: {error}") from error
    return value


def _read_yaml(text: str, where: str) -> JsonValue:
    try:
        return read_yaml(text)
    except InvalidInput as error:
        faults = "; ".join(map(show_problem, error.problems))
        raise WrongUse(f"{where} is not YAML that can be read: {faults}") from error


def _object(path: Path) -> JsonObject:
    document = read_document(path)
    if not isinstance(document, dict):
        raise WrongUse(f"{shown(path)} holds no workflow: an object with nodes and edges is expected")
    return document


def _name(path: Path) -> str:
    return "stdin" if str(path) == STDIN else path.stem


def shown(path: Path) -> str:
    """What messages call a file."""
    return "stdin" if str(path) == STDIN else str(path)


def text_of(path: Path) -> str:
    """Raises WrongUse."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongUse(f"{path} cannot be read: {reason}") from error
