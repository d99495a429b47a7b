"""Calls a trusted activity whose source is text, in a process of its own. Runs there."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import lru_cache
from inspect import Parameter
from types import CodeType, ModuleType
from typing import cast

from headrace.activities.afar import context_afar, printed_is_said
from headrace.activities.context import ActivityContext, entered
from headrace.activities.declaration import failure_said
from headrace.activities.errors import ActivityError, BadInput
from headrace.activities.registry import REGISTRY
from headrace.activities.signature import as_json
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed
from headrace.nodes.lanes import AttemptFailed
from headrace.nodes.stored_source import WHOLE


def run(payload: JsonObject) -> JsonValue | Coroutine[None, None, JsonValue]:
    """Runs a source and calls its entry; what it returned, as JSON. Its module is new in each call.

    Raises AttemptFailed for failures that say what they mean, and else what the source raises.
    """
    name, source, entry = (str(payload[key]) for key in ("name", "source", "entry"))
    context = context_afar(cast(JsonObject, payload["context"]))
    with _as_activity(context), REGISTRY.restored():
        module = _fresh_module(name)
        exec(_compiled(source, name), module.__dict__)
        function = cast("Callable[..., object]", getattr(module, entry))
        output = function(**_bound(function, payload["given"]))
        return _later(output, context) if inspect.isawaitable(output) else as_json(output)


async def _later(output: Awaitable[object], context: ActivityContext) -> JsonValue:
    with _as_activity(context):
        return as_json(await output)


@contextmanager
def _as_activity(context: ActivityContext) -> Iterator[None]:
    """Code in here is an activity's: `context()` answers, and what it prints and raises is understood."""
    try:
        with printed_is_said(), entered(context):
            yield
    except ActivityError as error:
        raise AttemptFailed(failure_said(error)) from error
    except BadInput as error:
        raise AttemptFailed(Failed(str(error), kind="BadInput", retryable=False)) from error


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


@lru_cache(maxsize=32)
def _compiled(source: str, name: str) -> CodeType:
    return compile(source, f"<activity {name}>", "exec")
