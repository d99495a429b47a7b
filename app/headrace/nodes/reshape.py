"""Lists and objects put together and taken apart: what `transform` does to them, in pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from headrace.graph.coercion import MISSING, text_of
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.template import lookup

MergeStrategy: TypeAlias = Literal["deep", "shallow", "array"]

_LAST_NAME = re.compile(r"""[^.\[\]"']+(?=["']?\]?$)""")


class Unfit(ValueError):
    """The data is not of the kind that an operation needs."""


def as_list(data: JsonValue) -> list[JsonValue]:
    """The data, if it is a list. Raises Unfit."""
    if not isinstance(data, list):
        raise Unfit(f"the data must be a list, it is {_kind(data)}")
    return data


def merged(sources: Iterable[JsonValue], strategy: MergeStrategy) -> JsonValue:
    """All sources in one; null among them is left out. Raises Unfit.

    deep, shallow: objects into one, where the later source wins; deep goes into objects that both have, but
    replaces lists. array: one list of the lists' items and of what is no list.
    """
    given = [source for source in sources if source is not None]
    if strategy == "array":
        return [item for source in given for item in (source if isinstance(source, list) else [source])]
    result: JsonObject = {}
    for source in given:
        if not isinstance(source, dict):
            raise Unfit(f"only objects can be merged, not {_kind(source)}")
        result = _deep(result, source) if strategy == "deep" else result | source
    return result


def _deep(left: JsonObject, right: JsonObject) -> JsonObject:
    result = dict(left)
    for key, value in right.items():
        known = result.get(key)
        result[key] = _deep(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def chunks(items: Sequence[JsonValue], size: int) -> list[list[JsonValue]]:
    """The items in lists of this size; the last one may be shorter. No items, no lists."""
    return [[*items[start : start + size]] for start in range(0, len(items), size)]


def groups(items: Iterable[JsonValue], key: str) -> dict[str, list[JsonValue]]:
    """The items by what the path names in each, as text ('' if it names nothing), in order of appearance."""
    found: dict[str, list[JsonValue]] = {}
    for item in items:
        found.setdefault(text_of(lookup(key, item)), []).append(item)
    return found


def picked(data: JsonValue, paths: JsonValue) -> JsonValue:
    """What the paths name, in an object; what is missing is left out. Of a list, from each item."""
    named = named_paths(paths)
    return [_picked(item, named) for item in data] if isinstance(data, list) else _picked(data, named)


def named_paths(paths: JsonValue) -> Mapping[str, str]:
    """The paths by the names under which they are kept. Raises Unfit."""
    if isinstance(paths, dict):
        return {name: _path(path) for name, path in paths.items()}
    return {_last_name(_path(path)): _path(path) for path in as_list(paths)}


def _picked(data: JsonValue, paths: Mapping[str, str]) -> JsonObject:
    found = {name: lookup(path, data) for name, path in paths.items()}
    return {name: value for name, value in found.items() if value is not MISSING}


def _path(path: JsonValue) -> str:
    if not isinstance(path, str) or not path.strip():
        raise Unfit("a path is a text, as 'data.city'")
    return path.strip()


def _last_name(path: str) -> str:
    """`rows[0].name` is kept as `name`, `rows[0]` as `0`."""
    found = _LAST_NAME.search(path)
    return found.group() if found else path


def _kind(data: JsonValue) -> str:
    match data:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
