"""What pydantic finds wrong with a value, in our words, with the place as people wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from pydantic_core import ErrorDetails

from headrace.errors import Problem
from headrace.graph.coercion import MISSING, own_property
from headrace.graph.json_types import JsonValue

_MUST_BE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "mapping_type"), "an object"),
    **dict.fromkeys(("uuid_type", "uuid_parsing"), "an id, as 0193f5a0-0000-7000-8000-000000000000"),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), "a time, as 2026-01-31T09:00:00Z"
    ),
    "none_required": "null",
}
_LIMITS: Final[Mapping[str, str]] = {
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be less than {lt:g}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_pattern_mismatch": "must match {pattern}",
}
_PLAIN: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "is unknown here",
}


def faults(errors: Iterable[ErrorDetails], value: object) -> list[Problem]:
    """One problem for each place; a value that may be of several kinds is told of all of them."""
    found: dict[str, list[ErrorDetails]] = {}
    for one in errors:
        found.setdefault(place(one, value), []).append(one)
    return [Problem(path, _joined(those), _hint(those)) for path, those in found.items()]


def in_words(error: ErrorDetails) -> str:
    """What is wrong, in words that need no knowledge of Python."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _MUST_BE:
        return f"must be {_MUST_BE[kind]}"
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "must not be empty"
    if kind in _LIMITS:
        return _LIMITS[kind].format_map(context)
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind == "union_tag_invalid":
        return f"its {context['discriminator']} must be one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"needs a {context['discriminator']}"
    if kind == "json_invalid" and "error" in context:
        return f"is not JSON: {context['error']} at character {error['loc'][-1]}"
    return _PLAIN.get(kind) or error["msg"].removeprefix("Value error, ")


def place(error: ErrorDetails, value: object) -> str:
    """`rows[0].name`; what pydantic adds to say which kind it tried is left out."""
    parts, here = list[str | int](), cast(JsonValue, value)
    is_missing, where = error["type"] == "missing", error["loc"]
    for number, part in enumerate(where, 1):
        inner, rest = own_property(here, str(part)), where[number:]
        if inner is MISSING:
            parts += [part] if is_missing and not rest else []
        elif isinstance(inner, dict | list) or not rest or not (is_missing or _has(here, rest[0])):
            parts.append(part)
            here = inner
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _has(value: JsonValue, part: str | int) -> bool:
    """Whether the next part stands beside the one before: that was the name of a kind, not of a field."""
    return own_property(value, str(part)) is not MISSING


def _joined(those: Sequence[ErrorDetails]) -> str:
    """`must be a number` and `must be text` are `must be a number or text`."""
    texts = list(dict.fromkeys(map(in_words, those)))
    kinds = [text.removeprefix("must be ") for text in texts]
    if len(texts) > 1 and all(one["type"] in _MUST_BE for one in those):
        return f"must be {' or '.join(kinds)}"
    return "; ".join(texts)


def _hint(those: Sequence[ErrorDetails]) -> str:
    return next((str(hint) for one in those if (hint := one.get("ctx", {}).get("hint"))), "")
