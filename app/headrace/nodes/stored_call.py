"""Calls a trusted activity whose source is text, in a process of its own. Runs there."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from inspect import Parameter
from types import CodeType, ModuleType
from typing import cast

from headrace.activities.context import MOST_LINES, MOST_TEXT
from headrace.activities.errors import BadInput
from headrace.activities.registry import REGISTRY
from headrace.activities.signature import as_json
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.stored_source import WHOLE


def run(payload: JsonObject) -> JsonObject | Coroutine[None, None, JsonObject]:
    """Runs a source and calls its entry; `{output, log}`. Its module is new in each call."""
    name, source, entry = (str(payload[key]) for key in ("name", "source", "entry"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), REGISTRY.restored():
        module = _fresh_module(name)
        exec(_compiled(source, name), module.__dict__)
        function = cast("Callable[..., object]", getattr(module, entry))
        output = function(**_bound(function, payload["given"]))
    return _later(output, printed) if inspect.isawaitable(output) else _answer(output, printed)


def _fresh_module(name: str) -> ModuleType:
    """Among the modules, where dataclasses and models look for it, in the place of that of the last call."""
    module = ModuleType(f"activity {name}")
    sys.modules[module.__name__] = module
    return module


def _bound(function: Callable[..., object], given: JsonValue) -> dict[str, JsonValue]:
    """As a sandbox does: by name from an object, or all of it for a lone parameter that asks for that."""
    parameters = inspect.signature(function).parameters
    names = [one.name for one in parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    takes_more = len(names) < len(parameters)
    if len(names) == 1 and (names[0] in WHOLE or not isinstance(given, dict)):
        return {names[0]: given}
    if not names and not takes_more:
        return {}
    if not isinstance(given, dict):
        raise BadInput(f"the function needs an object with {', '.join(names) or 'its names'}")
    return {name: value for name, value in given.items() if takes_more or name in names}


async def _later(output: Awaitable[object], printed: io.StringIO) -> JsonObject:
    with contextlib.redirect_stdout(printed):
        return _answer(await output, printed)


def _answer(output: object, printed: io.StringIO) -> JsonObject:
    lines = printed.getvalue().splitlines()
    log: list[JsonValue] = [line[:MOST_TEXT] for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        log[-1] = f"({len(lines) - MOST_LINES + 1} more lines)"
    return {"output": as_json(output), "log": log}


@lru_cache(maxsize=32)
def _compiled(source: str, name: str) -> CodeType:
    return compile(source, f"<activity {name}>", "exec")
