"""Calls an activity in a process of its own. Runs there."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from functools import lru_cache, reduce
from importlib import import_module
from typing import cast

from headrace.activities.afar import context_afar
from headrace.activities.context import ActivityContext, entered
from headrace.activities.declaration import Function
from headrace.activities.loading import load_file
from headrace.activities.registry import REGISTRY
from headrace.activities.signature import Signature, as_json, signature_of
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.lanes import AttemptFailed


def run(given: JsonObject) -> JsonValue | Coroutine[None, None, JsonValue]:
    """Calls the function that is named with the payload; what it returned, as JSON.

    There is a loop only where the function is async: others may start one of their own. Raises AttemptFailed
    for failures that say what they mean, and else what the function raises.
    """
    function = _found(str(given["module"]), str(given["qualname"]), cast("str | None", given["file"]))
    context = context_afar(cast(JsonObject, given["context"]))
    with _failures_said(context), entered(context):
        arguments = _signature(function).bind(given["payload"])
        output = function(*arguments.positional, **arguments.named)
        return _later(output, context) if inspect.isawaitable(output) else as_json(output)


async def _later(output: Awaitable[object], context: ActivityContext) -> JsonValue:
    with _failures_said(context), entered(context):
        return as_json(await output)


@contextmanager
def _failures_said(context: ActivityContext) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        activity = REGISTRY.get(context.activity)  # importing its module has declared it
        failure = None if activity is None else activity.failure(error)
        if failure is None:
            raise
        raise AttemptFailed(failure) from error


def _found(module: str, qualname: str, file: str | None) -> Function:
    loaded = import_module(module) if file is None else load_file(module, file)
    return cast(Function, reduce(getattr, qualname.split("."), cast(object, loaded)))


@lru_cache(maxsize=256)
def _signature(function: Function) -> Signature:
    return signature_of(function)
