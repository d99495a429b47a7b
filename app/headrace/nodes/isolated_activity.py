"""Calls an activity in a process of its own. Runs there."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from functools import lru_cache, reduce
from importlib import import_module
from typing import cast

from headrace.activities.context import ActivityContext, RunLogger, entered
from headrace.activities.declaration import Function
from headrace.activities.loading import load_file
from headrace.activities.notes import hearer
from headrace.activities.registry import REGISTRY
from headrace.activities.signature import Signature, as_json, signature_of
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.lanes import AttemptFailed


async def run(given: JsonObject) -> JsonValue:
    """Calls the function that is named with the payload; what it returned, as JSON.

    Raises AttemptFailed for failures that say what they mean, and else what the function raises.
    """
    function = _found(str(given["module"]), str(given["qualname"]), cast("str | None", given["file"]))
    context = _context(cast(JsonObject, given["context"]))
    try:
        return as_json(await _called(function, context, given["payload"]))
    except Exception as error:
        activity = REGISTRY.get(context.activity)  # importing its module has declared it
        failure = None if activity is None else activity.failure(error)
        if failure is None:
            raise
        raise AttemptFailed(failure) from error


async def _called(function: Function, context: ActivityContext, payload: JsonValue) -> object:
    arguments = _signature(function).bind(payload)
    with entered(context):
        output = function(*arguments.positional, **arguments.named)
        return await cast("Awaitable[object]", output) if inspect.isawaitable(output) else output


def _found(module: str, qualname: str, file: str | None) -> Function:
    loaded = import_module(module) if file is None else load_file(module, file)
    return cast(Function, reduce(getattr, qualname.split("."), cast(object, loaded)))


@lru_cache(maxsize=256)
def _signature(function: Function) -> Signature:
    return signature_of(function)


def _context(facts: JsonObject) -> ActivityContext:
    hear = hearer.get()
    return ActivityContext(
        run_id=str(facts["run_id"]),
        node_id=str(facts["node_id"]),
        node_name=str(facts["node_name"]),
        activity=str(facts["activity"]),
        attempt=int(str(facts["attempt"])),
        idempotency_key=str(facts["idempotency_key"]),
        input=facts["input"],
        logger=RunLogger(lambda level, text: hear({"level": level, "text": text})),
        _beat=lambda progress, details: hear({"progress": progress, "details": details}),
    )
