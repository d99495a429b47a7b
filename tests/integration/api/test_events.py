"""Following a run's history as server-sent events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from headrace.api import events
from headrace.api.events import follow
from headrace.engine import reading
from headrace.engine.program import Engine
from headrace.engine.reading import EventPage
from headrace.errors import StoreUnavailable
from headrace.graph.json_types import JsonObject
from headrace.store.db import Database
from headrace.store.events import Cursor
from support.api import finish, finished_run, saved, started
from support.build import chain

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Message:
    """One message of a stream."""

    id: str
    event: str
    data: JsonObject


def read(text: str) -> list[Message]:
    """The messages of a stream; comments and the reconnection time are passed over."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append(Message(fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


async def stream(client: httpx.AsyncClient, run_id: str, after: str | None = None) -> list[Message]:
    headers = {"Last-Event-ID": after} if after else None
    response = await client.get(f"/workflows/runs/{run_id}/events", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    return read(response.text)


async def test_a_run_that_ended_tells_all_and_ends(client: httpx.AsyncClient, engine: Engine) -> None:
    _, run_id = await finished_run(client, engine, chain(2))
    messages = await stream(client, run_id)
    assert messages[0].event == "run.started"
    assert [one.data["nodeId"] for one in messages if one.event == "task.completed"] == ["n0", "n1"]
    assert (messages[-1].event, messages[-1].data) == ("end", {"status": "succeeded"})
    assert {"id", "type", "runId", "nodeId", "position", "message", "data", "at"} == set(messages[0].data)
    ids = [one.id for one in messages[:-1]]
    assert len(set(ids)) == len(ids)


async def test_a_client_that_comes_back_misses_and_repeats_nothing(
    client: httpx.AsyncClient, engine: Engine
) -> None:
    _, run_id = await finished_run(client, engine, chain(3))
    messages = await stream(client, run_id)
    for number, message in enumerate(messages[:-1]):
        assert await stream(client, run_id, message.id) == messages[number + 1 :]


async def test_a_long_history_comes_in_pages(
    client: httpx.AsyncClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run_id = await finished_run(client, engine, chain(3))
    whole = await stream(client, run_id)
    for size in (1, 2, len(whole) - 1):
        monkeypatch.setattr(reading, "EVENTS_AT_ONCE", size)
        monkeypatch.setattr(events, "POLL_SECONDS", 0)
        assert await stream(client, run_id) == whole


@pytest.mark.parametrize("last", ["x", "1", "1-", "-1-1", "1-x", f"{2**63}-1", f"1-{10**40}"])
async def test_a_place_that_is_none_is_422(client: httpx.AsyncClient, last: str) -> None:
    run_id = await started(client, await saved(client, chain(1)))
    response = await client.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": last})
    assert response.status_code == 422
    assert response.json()["details"][0]["path"] == "header.Last-Event-ID"


async def test_a_run_is_followed_while_it_goes_on(client: httpx.AsyncClient, engine: Engine) -> None:
    run_id = await started(client, await saved(client, chain(2)))
    seen: list[Message] = []
    has_begun = asyncio.Event()

    async def listen() -> None:
        async for text in follow(engine, UUID(run_id), Cursor()):
            seen.extend(read(text))
            if any(one.event == "task.queued" for one in seen):
                has_begun.set()

    async with asyncio.timeout(20):
        listening = asyncio.create_task(listen())
        await has_begun.wait()
        await finish(engine, run_id)
        await listening
    assert seen == await stream(client, run_id)


async def test_an_event_that_commits_late_is_not_passed_over(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    run_id = await started(client, await saved(client, chain(1)))
    async with db.transaction() as tx:
        # An older transaction is still open: what is younger must wait for it.
        await tx.fetch("SELECT pg_current_xact_id()")
        assert (await client.post(f"/runs/{run_id}/cancel")).status_code == 201
        ended = await reading.events_after(engine, UUID(run_id), Cursor())
    assert [one.event.type for one in ended.events][-1] == "run.cancelled"
    assert ended.ended == "cancelled"


async def test_young_events_wait_for_older_transactions(
    client: httpx.AsyncClient, engine: Engine, db: Database
) -> None:
    workflow_id = await saved(client, chain(1))
    async with db.transaction() as tx:
        await tx.fetch("SELECT pg_current_xact_id()")
        run_id = await started(client, workflow_id)
        early = await reading.events_after(engine, UUID(run_id), Cursor())
    later = await reading.events_after(engine, UUID(run_id), Cursor())
    assert list(early.events) == []
    assert [one.event.type for one in later.events] == ["run.started", "log", "task.queued"]


async def test_a_quiet_stream_is_kept_open_and_outlives_postgres(
    engine: Engine, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await started(client, await saved(client, chain(1)))
    answers = iter([StoreUnavailable(), EventPage((), None)])

    async def events_after(engine: Engine, run: UUID, cursor: Cursor, with_children: bool) -> EventPage:
        answer = next(answers, None)
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer or await reading.events_after(engine, run, cursor, with_children)

    monkeypatch.setattr(events, "events_after", events_after)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0)
    following = follow(engine, UUID(run_id), Cursor())
    texts = [await anext(following) for _ in range(4)]
    await following.aclose()
    assert texts[:3] == ["retry: 1000\n\n", ": still here\n\n", ": still here\n\n"]
    assert read(texts[3])[0].event == "run.started"


async def test_the_stream_of_a_run_that_is_deleted_ends(engine: Engine) -> None:
    messages = [message async for message in follow(engine, UUID(int=1), Cursor())]
    assert messages == ["retry: 1000\n\n"]
