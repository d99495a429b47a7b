"""Calling an activity's code: in the loop, in a thread, or in a process of its own."""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import ContextVar
from functools import partial
from typing import cast

from headrace.activities.context import entered
from headrace.activities.declaration import Activity
from headrace.activities.signature import as_json
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.activity_facts import context_here, facts_of, hear_for
from headrace.nodes.base import Http, HttpError, NodeContext

ISOLATED = "headrace.nodes.isolated_activity:run"
"""What calls an activity in a process of its own."""

_http: ContextVar[Http] = ContextVar("http")


async def perform(context: NodeContext, activity: Activity, payload: JsonValue) -> Outcome:
    """Calls the activity with a payload; what it returned, or its failure."""
    try:
        if activity.declaration.defaults.isolated:
            output = await _isolated(context, activity, payload)
        else:
            output = as_json(await _called(context, activity, payload))
    except Exception as error:
        if isinstance(error, HttpError):
            return Failed(error.message, kind=error.code, retryable=error.retryable)
        failure = activity.failure(error)
        if failure is None:
            raise
        return failure
    return activity.said_error(output) or Done(output)


async def _called(context: NodeContext, activity: Activity, payload: JsonValue) -> object:
    arguments = activity.signature.bind(payload)
    call = partial(activity.function, *arguments.positional, **arguments.named)
    token = _http.set(context.http)
    try:
        with entered(context_here(context, activity.name)):
            if activity.is_async:
                return await cast("Awaitable[object]", call())
            return await context.run_sync(call)
    finally:
        _http.reset(token)


def http() -> Http:
    """Outgoing calls for the built-in activity that runs here, behind the guard that nodes have."""
    return _http.get()


async def _isolated(context: NodeContext, activity: Activity, payload: JsonValue) -> JsonValue:
    module, _, qualname = activity.place.partition(":")
    given: JsonObject = {
        "module": module,
        "file": activity.file,
        "qualname": qualname,
        "payload": payload,
        "context": facts_of(context, activity.name),
    }
    return await context.run_isolated(ISOLATED, given, hear_for(context, activity.name))
