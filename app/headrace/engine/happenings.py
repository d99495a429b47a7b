"""Events from outside: each does what its handlers say, and with an id it does so once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from uuid import UUID

from headrace.engine.control import cancel_all
from headrace.engine.handlers import SendSignal, StartWorkflow, action_of
from headrace.engine.program import Engine, UnknownVersion
from headrace.engine.signals import SignalRequest, send_signal
from headrace.engine.start import StartRequest, start_within
from headrace.errors import (
    IdempotencyConflict,
    InvalidInput,
    MissingReference,
    NotFound,
    Problem,
    TooLarge,
    WrongState,
)
from headrace.graph.dispatch import Dispatch
from headrace.graph.event import holds_for, matches
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.template import Scope, resolve
from headrace.store import event_handlers
from headrace.store.db import Tx
from headrace.store.event_handlers import Handler

_REFUSALS = (InvalidInput, MissingReference, NotFound, TooLarge, UnknownVersion, WrongState)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event. id: its sender's; None for one that is new whenever it comes."""

    name: str
    id: str | None
    data: JsonValue

    def as_json(self) -> JsonObject:
        return {"name": self.name, "id": self.id, "data": self.data}


@dataclass(frozen=True, slots=True)
class Handled:
    """results: what each handler that the event concerns has done. is_new: False when its id was known."""

    is_new: bool
    results: Sequence[JsonObject]
    dispatches: Sequence[Dispatch]


@dataclass(frozen=True, slots=True)
class _Begun:
    is_new: bool
    results: list[JsonObject]
    dispatches: list[Dispatch]
    outdated: list[UUID]
    concerned: Sequence[Handler]


@dataclass(frozen=True, slots=True)
class _Done:
    """What one handler did. outdated: runs in whose place it has started another."""

    result: JsonObject
    dispatches: Sequence[Dispatch] = ()
    outdated: Sequence[UUID] = ()


async def handle(engine: Engine, event: Happening) -> Handled:
    """Starts the runs and sends the signals that an event asks for; one that is refused stops no other.

    All runs begin in one transaction with the event's id. Signals follow, and count once by an id made from
    the event's: an event that comes again after a crash sends those that are missing. Raises
    IdempotencyConflict when an event with this name and id has come with other data.
    """
    begun = await engine.db.transact(partial(_begin, engine, event))
    results = list(begun.results)
    dispatches = [*begun.dispatches, *await cancel_all(engine, begun.outdated)]
    for handler in begun.concerned:
        action = action_of(handler.rule)
        if isinstance(action, SendSignal):
            sent = await _signal(engine, event, action, _signal_id(event, handler))
            results.append({"handler": handler.rule.name, **sent.result})
            dispatches += sent.dispatches
    return Handled(begun.is_new, results, dispatches)


async def _begin(engine: Engine, event: Happening, tx: Tx) -> _Begun:
    handlers = [one for one in await event_handlers.active(tx) if _concerns(one, event)]
    if (known := await _known(event, tx)) is not None:
        return _Begun(False, known, [], [], handlers)
    begun = _Begun(True, [], [], [], handlers)
    for handler in handlers:
        action = action_of(handler.rule)
        if isinstance(action, StartWorkflow):
            started = await _start(engine, event, action, tx)
            begun.results.append({"handler": handler.rule.name, **started.result})
            begun.dispatches.extend(started.dispatches)
            begun.outdated.extend(started.outdated)
    if event.id is not None:
        await event_handlers.note(tx, event.name, event.id, begun.results)
    return begun


async def _known(event: Happening, tx: Tx) -> list[JsonObject] | None:
    """What the first event with this id did; None for a new one, which is remembered from now on."""
    if event.id is None:
        return None
    digest = sha256(json.dumps(event.data, sort_keys=True).encode()).hexdigest()
    known = await event_handlers.remember(tx, event.name, event.id, digest)
    if known is not None and known.digest != digest:
        other = Problem("id", f"an event '{event.name}' with this id came before, with other data")
        raise IdempotencyConflict("This event is another than the first with its id", [other])
    return None if known is None else known.results


def _concerns(handler: Handler, event: Happening) -> bool:
    rule = handler.rule
    return matches(rule.pattern, event.name) and holds_for(rule.condition, event.as_json())


async def _start(engine: Engine, event: Happening, action: StartWorkflow, tx: Tx) -> _Done:
    whole: JsonObject = {"trigger_type": "event", "event": event.as_json()}
    origin: JsonObject = {"type": "event", "name": event.name, "eventId": event.id}
    try:
        run_input = whole if action.input is None else _filled(action.input, event)
        request = StartRequest(action.workflow_id, run_input, origin=origin)
        started = await start_within(engine, request, tx)
    except _REFUSALS as error:
        return _Done({"status": "failed", "reason": error.message})
    return _Done({"status": "started", "runId": str(started.run_id)}, started.dispatches, started.outdated)


async def _signal(engine: Engine, event: Happening, action: SendSignal, signal_id: str | None) -> _Done:
    try:
        run_id = _run_id(_filled(action.run_id, event))
        payload = event.data if action.payload is None else _filled(action.payload, event)
        request = SignalRequest(run_id, action.signal, payload, signal_id, action.node_id)
        sent = await send_signal(engine, request)
    except _REFUSALS as error:
        return _Done({"status": "failed", "reason": error.message})
    return _Done({"status": "signalled", "runId": str(run_id)}, sent.dispatches)


def _filled(template: JsonValue, event: Happening) -> JsonValue:
    return resolve(template, Scope(event.as_json()))


def _run_id(text: JsonValue) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as error:
        raise InvalidInput(f"'{str(text)[:100]}' is not the id of a run") from error


def _signal_id(event: Happening, handler: Handler) -> str | None:
    if event.id is None:
        return None
    return f"event-{sha256(f'{event.name} {event.id} {handler.id}'.encode()).hexdigest()}"
