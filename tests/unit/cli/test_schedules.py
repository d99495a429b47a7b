"""`headrace schedule` against an API that says what each test tells it to."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli

ID, WORKFLOW, RUN = str(UUID(int=1)), str(UUID(int=2)), str(UUID(int=3))
LINE: JsonObject = {
    "id": ID,
    "workflowId": WORKFLOW,
    "name": "nightly",
    "cron": "0 2 * * *",
    "timeZone": "UTC",
    "overlap": "skip",
    "isPaused": False,
    "nextSlot": "2026-01-01T02:00:00Z",
}
SLOT: JsonObject = {"slot": "2026-01-01T02:00:00Z", "origin": "trigger", "state": "started", "runId": RUN}


@pytest.fixture
def on(api: Api) -> tuple[str, str]:
    api.says("GET /schedules", {"items": [LINE]})
    api.says("GET /workflows", [{"id": WORKFLOW, "name": "Report", "updatedAt": 0}])
    return ("--url", api.url)


def test_list(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    line = cli("schedule", "list", "--workflow", "Report", *on).out.splitlines()[1]
    assert line.split()[:9] == [ID, "nightly", "Report", "0", "2", "*", "*", "*", "UTC"]
    assert f"workflowId={WORKFLOW}" in next(path for _, path, _ in api.asked if path.startswith("/schedules"))
    api.says("GET /schedules", {"items": []})
    assert cli("schedule", "list", *on).out == "No schedules yet.\n"


def test_create(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says("POST /schedules", LINE, 201)
    options = ("--name", "nightly", "--input", '{"a": 1}', "--overlap", "buffer_one", "--paused")
    assert cli("schedule", "create", "Report", "0 2 * * *", *options, *on).out == f"{ID}\n"
    assert api.asked[-1][2] == {
        "workflowId": WORKFLOW,
        "name": "nightly",
        "cron": "0 2 * * *",
        "timeZone": "UTC",
        "input": {"a": 1},
        "overlap": "buffer_one",
        "jitter": 0,
        "catchUp": 86400,
        "isPaused": True,
    }
    assert cli("schedule", "create", "Report", "0 2 * * *", "--overlap", "whatever", *on).code == 2


def test_pause_and_resume_by_name(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"POST /schedules/{ID}/pause", LINE | {"isPaused": True})
    assert cli("schedule", "pause", "nightly", *on).out == "Next: paused\n"
    api.says(f"POST /schedules/{ID}/resume", LINE | {"nextSlot": None})
    assert cli("schedule", "resume", "nightly", *on).out == "Next: never\n"


def test_names_that_are_none_or_several(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    assert "There is no schedule 'daily'" in cli("schedule", "pause", "daily", *on).err
    api.says("GET /schedules", {"items": [LINE, LINE]})
    answer = cli("schedule", "pause", "nightly", *on)
    assert (answer.code, "name one by its id" in answer.err) == (2, True)


def test_trigger(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"POST /schedules/{ID}/trigger", SLOT, 201)
    assert cli("schedule", "trigger", ID, "--overlap", "allow", *on).out == f"{RUN}\n"
    assert api.asked[-1][2] == {"overlap": "allow"}
    skipped: JsonObject = {"state": "skipped", "runId": None, "reason": "an earlier run goes on"}
    api.says(f"POST /schedules/{ID}/trigger", SLOT | skipped, 201)
    assert cli("schedule", "trigger", ID, *on).out == "skipped: an earlier run goes on\n"


def test_backfill(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"POST /schedules/{ID}/backfill", {"added": 3}, 201)
    assert cli("schedule", "backfill", ID, "2026-01-01", "2026-01-02T03:30", *on).out == "Added 3 slots\n"
    assert api.asked[-1][2] == {
        "from": "2026-01-01T00:00:00+00:00",
        "to": "2026-01-02T03:30:00+00:00",
        "overlap": "buffer_all",
    }
    assert cli("schedule", "backfill", ID, "yesterday", "today", *on).code == 2


def test_next_and_slots(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"GET /schedules/{ID}/next", {"times": ["2026-01-01T02:00:00+01:00"]})
    assert cli("schedule", "next", ID, "--count", "1", *on).out == "2026-01-01 02:00:00+01:00\n"
    assert api.asked[-1][1] == f"/schedules/{ID}/next?count=1"
    api.says(f"GET /schedules/{ID}/slots", {"items": [SLOT]})
    assert cli("schedule", "slots", ID, *on).out.splitlines()[1].split()[2:] == ["trigger", "started", RUN]


def test_delete_and_json(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"DELETE /schedules/{ID}", {"deleted": True})
    assert cli("schedule", "delete", "nightly", *on).out == f"Deleted {ID}\n"
    assert json.loads(cli("schedule", "list", "--json", *on).out) == {"items": [LINE]}
