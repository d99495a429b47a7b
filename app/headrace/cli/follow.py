"""Following a run over server-sent events, across dropped connections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from headrace.cli.answers import Event, read
from headrace.cli.client import Client
from headrace.cli.documents import read_json
from headrace.cli.errors import TookTooLong, Unavailable

_SILENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.3
_AWAY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event."""

    id: str
    event: str
    data: str


def read_messages(lines: Iterable[str]) -> Iterator[Message]:
    """Messages of an event stream; comments and what is cut off at the end are left out."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            last = {name: values[-1] for name, values in fields.items()}
            yield Message(last.get("id", ""), last.get("event", "message"), "\n".join(fields["data"]))
        fields = {}


def follow(client: Client, run_id: str, deadline: float) -> Iterator[Event]:
    """The run's events from its beginning until its end.

    deadline: on time.monotonic(). Raises TookTooLong after it, NotFound, and Unreachable or Unavailable when
    the API stays away.
    """
    last_id, heard_at = "", time.monotonic()
    while True:
        silence = min(_SILENCE_SECONDS, deadline - time.monotonic())
        if silence <= 0:
            raise TookTooLong(f"Run {run_id} goes on; `headrace runs show {run_id}` tells how it ends")
        try:
            with client.stream(f"/runs/{run_id}/events", last_id, silence) as lines:
                for message in read_messages(lines):
                    if message.event == "end":
                        return
                    last_id, heard_at = message.id or last_id, time.monotonic()
                    yield read(Event, read_json(message.data, "the event stream"))
                    if heard_at > deadline:
                        break
        except httpx.ReadTimeout:
            # Nothing happened for a moment: the next request goes on after the last event.
            heard_at = time.monotonic()
            continue
        except (httpx.TransportError, Unavailable) as error:
            if time.monotonic() - heard_at > _AWAY_SECONDS:
                raise error if isinstance(error, Unavailable) else client.unreachable() from error
        time.sleep(max(0.0, min(_PAUSE_SECONDS, deadline - time.monotonic())))
