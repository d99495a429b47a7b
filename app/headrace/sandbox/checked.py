"""What is known of a source that was not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.stored_source import Parameter

TYPES = frozenset({"", "string", "integer", "number", "boolean", "array", "object"})


@dataclass(frozen=True, slots=True)
class Checked:
    """problems: empty for a source that can be run. exports: the names of its functions.

    takes: their parameters by the function's name, where they have names.
    """

    problems: tuple[Problem, ...] = ()
    exports: tuple[str, ...] = ()
    takes: Mapping[str, Sequence[Parameter]] = field(default_factory=dict)


def takes_of(functions: JsonObject) -> dict[str, tuple[Parameter, ...]]:
    """Their parameters, as a cell says them: what is none is left out, with all of its function."""
    found = {name: _parameters(said) for name, said in functions.items()}
    return {name: parameters for name, parameters in found.items() if parameters is not None}


def _parameters(said: JsonValue) -> tuple[Parameter, ...] | None:
    parameters = [_parameter(one) for one in said] if isinstance(said, list) else [None]
    known = tuple(one for one in parameters if one is not None)
    return known if len(known) == len(parameters) else None


def _parameter(said: JsonValue) -> Parameter | None:
    match said:
        case [str() as name, str() as type, bool() as is_required] if name.isidentifier() and type in TYPES:
            return Parameter(name, type, is_required)
        case _:
            return None
