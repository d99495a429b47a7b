"""Functions that the tests' jobs name."""

from __future__ import annotations

from headrace.graph.json_types import JsonValue


def echo(*args: JsonValue) -> list[JsonValue]:
    return list(args)
