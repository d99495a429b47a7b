"""The list nodes of the graph_config form (map, filter, reduce, merge, split), as settings of `transform`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from headrace.errors import BadExpression
from headrace.graph.imports.findings import Settings
from headrace.graph.imports.graph_config_names import Names
from headrace.graph.imports.infix import REFERENCE, split_function
from headrace.graph.json_types import JsonObject, JsonValue

_Configure: TypeAlias = Callable[[Settings, Names], JsonObject]

_ITEM = ("item", "index")
_REDUCING = ("accumulator", "item", "index")
_ALSO = {"acc": "accumulator", "x": "item", "i": "index"}


def _map(settings: Settings, names: Names) -> JsonObject:
    return _per_item(settings, names, "map", "map_expression")


def _filter(settings: Settings, names: Names) -> JsonObject:
    return _per_item(settings, names, "filter", "filter_condition")


def _per_item(settings: Settings, names: Names, operation: str, name: str) -> JsonObject:
    return {
        "operation": operation,
        "expression": _expression(settings, name, _ITEM),
        **_data(settings, names),
    }


def _reduce(settings: Settings, names: Names) -> JsonObject:
    expression = _expression(settings, "reduce_function", _REDUCING)
    given = settings.take("initial_value")
    initial = settings.attempt("initial_value", lambda: names.filled(given))
    return {
        "operation": "reduce",
        "expression": expression,
        "initialValue": initial,
        **_data(settings, names),
    }


def _merge(settings: Settings, names: Names) -> JsonObject:
    config: JsonObject = {
        "operation": "merge",
        "mergeStrategy": settings.text("merge_strategy", default="deep"),
    }
    sources = settings.take("input_sources")
    if sources is None:
        settings.note("", "it merges the list that is its input", "name the values in `sources`")
        return config
    if not isinstance(sources, list):
        settings.refuse("input_sources", "a list is expected")
        return config
    return config | {"sources": [_value(settings, names, "input_sources", one) for one in sources]}


def _split(settings: Settings, names: Names) -> JsonObject:
    strategy = settings.text("split_strategy", default="by_size")
    given = settings.take("split_config", default={})
    inner = Settings(
        given if isinstance(given, dict) else {}, f"{settings.path}.split_config", settings.findings
    )
    config: JsonObject = {"operation": "split", "splitStrategy": strategy, **_data(settings, names)}
    match strategy:
        case "by_key":
            config["key"] = inner.text("key")
        case "by_size":
            config["size"] = inner.take("size", "chunk_size", default=1)
        case "by_condition":
            config["expression"] = _expression(inner, "condition", _ITEM)
        case _:
            settings.refuse(
                "split_strategy", f"'{strategy}' is unknown", "known: by_key, by_size, by_condition"
            )
    inner.leave()
    return config


def _data(settings: Settings, names: Names) -> JsonObject:
    given = settings.take("input_array")
    return {} if given is None else {"data": _value(settings, names, "input_array", given)}


def _value(settings: Settings, names: Names, setting: str, given: JsonValue) -> JsonValue:
    """A text names a value: a node, or a path in either spelling. Other values stand for themselves."""
    if not isinstance(given, str):
        return given
    reference = REFERENCE.fullmatch(given.strip())
    path = reference[1] if reference else given.strip()
    if "${" in path:
        settings.refuse(setting, f"`{given}` is no path")
        return None
    output = f"{path}_output" if path in names.kinds else path
    return settings.attempt(setting, lambda: names.reference(output))


def _expression(settings: Settings, setting: str, names: tuple[str, ...]) -> JsonValue:
    """json-logic over the item; the parameters of a function are its names in their order."""
    parameters, body = split_function(settings.text(setting))
    if len(parameters) > len(names):
        settings.refuse(setting, f"the function has more than {len(names)} parameters")
    given = dict(zip(parameters, names, strict=False)) or dict.fromkeys(names) | _ALSO

    def name(path: str) -> JsonValue:
        first, dot, rest = path.partition(".")
        if first not in given:
            raise BadExpression(f"'{first}' is not known there; known are {', '.join(given)}")
        return {"var": (given[first] or first) + dot + rest}

    return settings.rule(setting, body, name)


LISTS: Mapping[str, _Configure] = {
    "map": _map,
    "filter": _filter,
    "reduce": _reduce,
    "merge": _merge,
    "split": _split,
}
