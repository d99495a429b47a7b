"""`context()` on its way: what code that runs elsewhere is told of its task, and what it says to it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from headrace.activities.context import ActivityContext, RunLogger
from headrace.activities.notes import Hear
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.base import NodeContext
from headrace.nodes.json_text import storable_text

_TYPES = {"error": "error", "warning": "info", "debug": "system"}
"""The types of lines in the run's log by their level; else it is `node-output`."""


def context_here(context: NodeContext, activity: str) -> ActivityContext:
    """What `context()` gives to an activity's code in this process."""
    return ActivityContext(
        run_id=context.run_id,
        node_id=context.node_id,
        node_name=context.node_name,
        activity=activity,
        attempt=context.attempt,
        idempotency_key=context.idempotency_key,
        input=context.input,
        logger=RunLogger(partial(_write, context)),
        _beat=context.heartbeat,
        _cancelled=context.cancelled,
    )


def facts_of(context: NodeContext, activity: str) -> JsonObject:
    """The same as JSON, for another process."""
    return {
        "run_id": context.run_id,
        "node_id": context.node_id,
        "node_name": context.node_name,
        "activity": activity,
        "attempt": context.attempt,
        "idempotency_key": context.idempotency_key,
        "input": context.input,
    }


def told_of(context: NodeContext, activity: str, given: JsonValue) -> JsonObject:
    """The same for a program that gets this: its input only if that is something else."""
    facts = facts_of(context, activity)
    if given is context.input:
        del facts["input"]
    return facts


def hear_for(context: NodeContext, activity: str) -> Hear:
    """Takes what the code in another process says. It may be anything: what is no note is passed over."""
    return partial(_hear, context, context_here(context, activity))


def _hear(context: NodeContext, here: ActivityContext, note: JsonValue) -> None:
    match note:
        case {"printed": str(text)}:
            context.say("stdout", storable_text(text))
        case {"level": str(level), "text": str(text)}:
            here.logger.log(level, "%s", text)
        case {"progress": None | int() | float() as progress, "details": details}:
            with suppress(ValueError):
                here.heartbeat(progress, details)


def _write(context: NodeContext, level: str, text: str) -> None:
    context.say(level, storable_text(text), type=_TYPES.get(level, "node-output"))
