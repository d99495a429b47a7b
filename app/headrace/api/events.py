"""A run's history as server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from headrace.api.run_schemas import EventOut, TaskBeat
from headrace.engine.program import Engine
from headrace.engine.reading import EventPage, beats_after, events_after
from headrace.errors import InvalidInput, NotFound, Problem, StoreUnavailable
from headrace.log import Log
from headrace.store.events import Cursor, StoredEvent
from headrace.store.heartbeats import Beat

POLL_SECONDS = 0.15
HEARTBEAT_SECONDS = 15.0
"""Comments that keep proxies from closing a quiet stream."""

BEAT_SECONDS = 0.5
"""Between two looks at what nodes say of how far they are."""

_RECONNECT_MS = 1000
_LARGEST = 2**63 - 1

EVENT_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 761-12\nevent: task.completed\ndata: {"nodeId": "greet", ...}\n\n',
    }
}

_log = Log("headrace.api")


def read_cursor(last_event_id: str | None) -> Cursor:
    """The place after which a stream goes on; its begin for None. Raises InvalidInput."""
    if not last_event_id:
        return Cursor()
    try:
        cursor = Cursor.parse(last_event_id)
        if not (0 <= cursor.xid <= _LARGEST and 0 <= cursor.id <= _LARGEST):
            raise ValueError(last_event_id)
    except ValueError as error:
        problem = Problem("header.Last-Event-ID", "is not the id of an event", "<transaction>-<event>")
        raise InvalidInput(problems=[problem]) from error
    return cursor


async def follow(
    engine: Engine, run_id: UUID, cursor: Cursor, with_children: bool = False
) -> AsyncIterator[str]:
    """Events as they are committed, then `end` when the run has ended. Goes on while PostgreSQL is away.

    The stream of a run that is deleted meanwhile ends.
    """
    yield f"retry: {_RECONNECT_MS}\n\n"
    spoke = looked = time.monotonic()
    beaten: datetime | None = None
    while True:
        try:
            page = await _next_page(engine, run_id, cursor, with_children)
        except NotFound:
            return
        if time.monotonic() - looked > BEAT_SECONDS:
            looked = time.monotonic()
            for beat in await _new_beats(engine, run_id, beaten, with_children):
                yield _beat_message(beat)
                beaten = beat.at
        for stored in page.events:
            yield _message(stored)
            cursor = stored.cursor
        if page.ended is not None:
            yield f'event: end\ndata: {{"status":"{page.ended}"}}\n\n'
            return
        if page.events:
            spoke = time.monotonic()
        elif time.monotonic() - spoke > HEARTBEAT_SECONDS:
            spoke = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)


async def _next_page(engine: Engine, run_id: UUID, cursor: Cursor, with_children: bool) -> EventPage:
    try:
        return await events_after(engine, run_id, cursor, with_children)
    except StoreUnavailable:
        _log.warning("events", "PostgreSQL does not answer, asking again", run=str(run_id))
        return EventPage((), None)


async def _new_beats(
    engine: Engine, run_id: UUID, after: datetime | None, with_children: bool
) -> Sequence[Beat]:
    try:
        return await beats_after(engine, run_id, after, with_children)
    except StoreUnavailable:
        return ()


def _beat_message(beat: Beat) -> str:
    """Without an id: it is no part of the history, and who connects again is told the newest."""
    data = TaskBeat.of(beat).model_dump_json(by_alias=True)
    return f"event: task.heartbeat\ndata: {data}\n\n"


def _message(stored: StoredEvent) -> str:
    data = EventOut.of(stored).model_dump_json(by_alias=True)
    return f"id: {stored.cursor}\nevent: {stored.event.type}\ndata: {data}\n\n"
