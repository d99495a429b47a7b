"""What users hand over: definitions in files, inputs as JSON or as a file."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.cli.errors import WrongUse
from headrace.engine.program import Rules
from headrace.graph.definition import Definition, parse
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.validate import require_valid
from headrace.nodes.builtin import builtin


def read_definition(path: Path) -> JsonObject:
    """The definition in a file; without a name of its own it gets the file's. Raises WrongUse."""
    document = read_json(_text_of(path), str(path))
    if not isinstance(document, dict):
        raise WrongUse(f"{path} holds no workflow: a JSON object with `nodes` and `edges` is expected")
    inner = document.get("workflow")
    flat = {**inner, **document} if isinstance(inner, dict) else dict(document)
    flat.pop("workflow", None)
    return {"name": path.stem} | flat


def require_valid_definition(document: JsonValue) -> Definition:
    """Checks a definition as the API does, without one. Raises InvalidDefinition with every problem."""
    definition = parse(document)
    require_valid(definition, Rules(builtin()))
    return definition


def read_input(text: str) -> JsonValue:
    """JSON, or the JSON in the file that `@path` names. Raises WrongUse."""
    if text.startswith("@"):
        return read_json(_text_of(Path(text[1:])), text[1:])
    return read_json(text, "--input")


def read_json(text: str, where: str) -> JsonValue:
    """Raises WrongUse that says where the text stops being JSON."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise WrongUse(f"{where} is not JSON: {error}") from error
    return value


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongUse(f"{path} cannot be read: {reason}") from error
