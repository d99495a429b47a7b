"""JSON Schema: what is wrong with a value, or with a schema, in words.

A schema comes from a workflow's author, so checking with one must stay cheap and within this process: nothing
is fetched, a pattern may backtrack so far and no further, and `$ref` leads to a part of the same schema and
never back to itself. Without that, thirty short definitions that each name the next one twice take for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote

from jsonschema_rs import FancyRegexOptions, ValidationError, ValidationErrorKind, Validator, validator_for

from headrace.errors import Problem
from headrace.graph.coercion import MISSING, Value, own_property
from headrace.graph.json_types import JsonValue
from headrace.nodes.json_text import too_deep

MAX_PROBLEMS = 100
MAX_PARTS = 10_000
"""How many parts a schema may have, each counted as often as a `$ref` leads to it."""
MAX_LEVELS = 100

_BACKTRACKS = 100_000
_ODD = frozenset('.[]"')
# They move what a `$ref` is relative to, or lead on in ways that cannot be counted before a value is there.
_REFUSED = frozenset({"$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"})


def problems(schema: JsonValue, value: JsonValue, path: str = "") -> list[Problem]:
    """What of the value does not keep the schema, at most MAX_PROBLEMS; paths go on from `path`.

    A schema that cannot be used is a problem of each value.
    """
    validator = _validator(schema)
    if isinstance(validator, Problem):
        return [Problem(path, f"cannot be checked: {validator.message}")]
    if too_deep(value):
        return [Problem(path, "is nested too deep")]
    try:
        return [_problem(one, path) for one in islice(validator.iter_errors(value), MAX_PROBLEMS)]
    except ValueError as error:
        return [Problem(path, f"cannot be checked: {error}")]


def schema_problems(schema: JsonValue, path: str = "") -> list[Problem]:
    """What is wrong with the schema itself, which stands at this path; nothing with None (no schema)."""
    validator = None if schema is None else _validator(schema)
    if not isinstance(validator, Problem):
        return []
    return [Problem(below(path, validator.path), validator.message, validator.hint)]


def below(path: str, inner: str) -> str:
    """The path of what stands at `inner` within what stands at `path`."""
    dot = "." if path and inner and not inner.startswith("[") else ""
    return f"{path}{dot}{inner}"


def _validator(schema: JsonValue) -> Validator | Problem:
    if not isinstance(schema, dict | bool):
        return Problem("", "a schema is an object", '{"type": "object", "properties": {...}}')
    if too_deep(schema):
        return Problem("", "the schema is nested too deep")
    return _compiled(json.dumps(schema))


@lru_cache(maxsize=256)
def _compiled(text: str) -> Validator | Problem:
    """The validator of a schema, or why there is none. By its text: equal schemas are compiled once."""
    schema: JsonValue = json.loads(text)
    try:
        if _Measure(schema).parts(schema, MAX_LEVELS) > MAX_PARTS:
            return Problem("", f"the schema has more than {MAX_PARTS} parts, counted through each `$ref`")
        options = FancyRegexOptions(backtrack_limit=_BACKTRACKS)
        return validator_for(
            text, pattern_options=options, validate_formats=True, offline=True, mask="the value"
        )
    except ValidationError as error:
        return Problem(_join(error.instance_path), f"this is no JSON Schema: {error.message}")
    except ValueError as error:
        return Problem("", f"this is no JSON Schema: {error}")


@dataclass(slots=True)
class _Measure:
    """Counts what a value may be held against; raises ValueError for what cannot be counted."""

    root: JsonValue
    counted: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def parts(self, part: JsonValue, levels: int) -> int:
        """How many parts this one has with it. levels: how much deeper it may lead."""
        if levels == 0:
            raise ValueError(f"it leads more than {MAX_LEVELS} levels deep")
        if isinstance(part, list):
            return 1 + sum(self.parts(one, levels - 1) for one in part)
        if not isinstance(part, dict):
            return 1
        self._refuse(part)
        reference = part.get("$ref")
        named = self._target(reference, levels) if isinstance(reference, str) else 0
        return 1 + named + sum(self.parts(one, levels - 1) for one in part.values())

    def _refuse(self, part: dict[str, JsonValue]) -> None:
        moves = {"$id"} & part.keys() if part is not self.root else set()
        # With a text they are keywords; a property may be called so, its schema is no text.
        for name in sorted((_REFUSED & part.keys()) | moves):
            if isinstance(part[name], str | bool):
                raise ValueError(f"'{name}' is not supported here; name a part of the schema with '$ref'")

    def _target(self, reference: str, levels: int) -> int:
        if reference in self.open:
            raise ValueError(f"'{reference}' leads back to itself")
        if reference not in self.counted:
            self.open.add(reference)
            self.counted[reference] = self.parts(self._find(reference), levels - 1)
            self.open.remove(reference)
        return self.counted[reference]

    def _find(self, reference: str) -> JsonValue:
        if reference != "#" and not reference.startswith("#/"):
            raise ValueError(f"'{reference}' leads out of the schema; a '$ref' is like '#/$defs/name'")
        found: Value = self.root
        for name in unquote(reference).split("/")[1:]:
            found = own_property(found, name.replace("~1", "/").replace("~0", "~"))
        if found is MISSING:
            raise ValueError(f"there is no '{reference}'")
        return found


def _problem(error: ValidationError, path: str) -> Problem:
    places, message = list(error.instance_path), error.message
    match error.kind:
        case ValidationErrorKind.Required(property=name):
            places.append(name)
            message = "is a required property"
        case ValidationErrorKind.Type(types=types):
            message = f"must be of type {' or '.join(sorted(types))}"
    return Problem(below(path, _join(places)), message)


def _join(places: list[str | int]) -> str:
    """The path as templates write it: `rows[0].name`, `["a.b"].c`."""
    return "".join(_steps(places)).removeprefix(".")


def _steps(places: list[str | int]) -> Iterator[str]:
    for place in places:
        if isinstance(place, int):
            yield f"[{place}]"
        else:
            yield f".{place}" if place and _ODD.isdisjoint(place) else f"[{json.dumps(place)}]"
