from __future__ import annotations

import json
import math
import threading
import time

import pytest

from headrace.cli.client import Client
from headrace.cli.errors import TookTooLong
from headrace.cli.follow import Message, follow, read_messages
from support.scripted_api import Api

EVENTS = "/runs/r/events"


def event(number: int, kind: str = "task.running") -> str:
    data = {"type": kind, "nodeId": "a", "at": "2026-01-01T00:00:00Z"}
    return f"id: 1-{number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


END = 'event: end\ndata: {"status":"succeeded"}\n\n'


def test_reads_messages_and_passes_over_the_rest() -> None:
    lines = "retry: 1000\n\n: still here\n\nid: 7\nevent: a\ndata: 1\ndata:2\n\ndata: x\n\ndata: cut off"
    assert list(read_messages(lines.split("\n"))) == [Message("7", "a", "1\n2"), Message("", "message", "x")]


def test_goes_on_after_the_last_event_when_the_connection_ends(api: Api) -> None:
    api.streams[EVENTS] = [event(1) + event(2), event(3, "task.completed") + END]
    with Client(api.url) as client:
        types = [one.type for one in follow(client, "r", math.inf)]
    assert types == ["task.running", "task.running", "task.completed"]
    assert [headers.get("last-event-id") for headers in api.headers] == [None, "1-2"]


def test_goes_on_when_the_api_cannot_answer_for_a_moment(api: Api) -> None:
    api.says(f"GET {EVENTS}", {"message": "PostgreSQL does not answer"}, 503)
    with Client(api.url) as client:
        events = follow(client, "r", time.monotonic() + 10)
        # The stream is there from the second request on.
        threading.Timer(0.05, api.streams.update, [{EVENTS: [event(1) + END]}]).start()
        assert [one.type for one in events] == ["task.running"]
    assert len(api.asked) >= 2


def test_ends_at_the_deadline_although_events_keep_coming(api: Api) -> None:
    api.streams[EVENTS] = [event(1)] * 100
    with Client(api.url) as client:
        events = follow(client, "r", time.monotonic() + 0.2)
        with pytest.raises(TookTooLong, match="headrace runs show r"):
            list(events)
