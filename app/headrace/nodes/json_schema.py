"""JSON Schema: what is wrong with a value, or with a schema, in words. References lead nowhere outside."""

from __future__ import annotations

from typing import Never

import jsonschema_rs

from headrace.errors import Problem
from headrace.graph.json_types import JsonValue


def problems(schema: JsonValue, value: JsonValue) -> list[Problem]:
    """What of the value does not keep the schema; paths are relative to the value."""
    try:
        faults = list(_validator(schema).iter_errors(value))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, TypeError, ValueError) as error:
        return [Problem("", f"its schema is wrong: {_first_line(error)}")]
    return [Problem(_path(one.instance_path), one.message) for one in faults]


def schema_problems(schema: JsonValue, path: str) -> list[Problem]:
    """What is wrong with the schema itself, which stands at this path; nothing with None."""
    if schema is None:
        return []
    try:
        _validator(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, TypeError, ValueError) as error:
        return [Problem(path, f"this is no JSON Schema: {_first_line(error)}")]
    return []


def _validator(schema: JsonValue) -> jsonschema_rs.Validator:
    if not isinstance(schema, dict | bool):
        raise ValueError("a schema is an object")
    return jsonschema_rs.validator_for(schema, retriever=_refuse)


def _refuse(uri: str) -> Never:
    raise ValueError(f"a schema may not refer to {uri}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _path(parts: list[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
