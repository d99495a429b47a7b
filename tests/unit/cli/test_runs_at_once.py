"""`headrace run`, `runs cancel`, `runs delete` and `runs bulk` with all that can be said to them."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli

WORKFLOW, RUN, OTHER = str(UUID(int=1)), str(UUID(int=2)), str(UUID(int=3))
START = f"/workflows/{WORKFLOW}/execute-async"


@pytest.fixture
def on(api: Api) -> tuple[str, str]:
    api.says("GET /workflows", [{"id": WORKFLOW, "name": "Ship", "updatedAt": 0}])
    api.says(f"POST {START}", {"runId": RUN}, 201)
    return ("--url", api.url)


def test_a_run_with_every_option(cli: Cli, api: Api, on: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "mocks.yaml").write_text("pay: {output: {ok: true}}\n")
    debugging = ("--breakpoint", "pay", "--breakpoint", "send", "--step", "--mocks", "mocks.yaml")
    how = ("--input", '{"a": 1}', "--priority", "high", "--idempotency-key", "order-7")
    assert cli("run", "Ship", *how, *debugging, *on).out == f"{RUN}\n"
    assert api.asked[-1] == (
        "POST",
        START,
        {
            "input": {"a": 1},
            "priority": "high",
            "breakpoints": ["pay", "send"],
            "steps": True,
            "mocks": {"pay": {"output": {"ok": True}}},
        },
    )
    assert api.headers[-1]["idempotency-key"] == "order-7"


def test_a_run_with_none(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    assert json.loads(cli("run", "Ship", "--json", *on).out) == {"runId": RUN}
    assert api.asked[-1][2] == {}
    assert "idempotency-key" not in api.headers[-1]
    cli("run", "Ship", "--priority", "20", "--input", "[]", *on)
    assert api.asked[-1][2] == {"priority": 20, "input": []}
    assert cli("run", "Ship", "--mocks", "nothing.json", *on).code == 2


def test_cancel_with_grace(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"POST /runs/{RUN}/cancel", {"message": "ok"}, 201)
    assert cli("runs", "cancel", RUN, "--grace", "2.5", *on).out == f"Cancelled {RUN}\n"
    assert api.asked[-1][1] == f"/runs/{RUN}/cancel?graceSeconds=2.5"
    assert cli("runs", "cancel", RUN, *on).code == 0
    assert api.asked[-1][1] == f"/runs/{RUN}/cancel"
    assert cli("runs", "cancel", RUN, "--grace", "-1", *on).code == 2


def answer(**more: list[object]) -> JsonObject:
    return json.loads(json.dumps({"matched": [RUN, OTHER], "done": [], "refused": [], "created": [], **more}))  # type: ignore[no-any-return]


def test_bulk(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    refused = {"runId": OTHER, "message": "It has ended"}
    api.says("POST /runs/bulk", answer(done=[RUN], refused=[refused]))
    times = ("--after", "2026-01-01", "--before", "2026-02-01T00:00Z")
    said = cli("runs", "bulk", "cancel", "--workflow", "Ship", "--status", "running", *times, *on)
    assert api.asked[-1][2] == {
        "action": "cancel",
        "limit": 100,
        "dryRun": False,
        "status": "running",
        "startedAfter": "2026-01-01",
        "startedBefore": "2026-02-01T00:00Z",
        "workflowId": WORKFLOW,
    }
    first, _, *rest = said.out.splitlines()
    assert first == "cancel: 2 found, 1 done, 1 refused"
    assert [line.split() for line in rest] == [[OTHER, "It", "has", "ended"]]


def test_deleting(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"DELETE /runs/{RUN}", {"deleted": True})
    assert cli("runs", "delete", RUN, *on).out == f"Deleted {RUN}\n"
    assert json.loads(cli("runs", "delete", RUN, "--json", *on).out) == {"deleted": True}
    assert cli("runs", "delete", "no-id", *on).code != 0
    api.says("POST /runs/delete", answer(done=[RUN, OTHER]))
    said = cli("runs", "bulk", "delete", "--status", "failed", *on)
    assert said.out == "delete: 2 found, 2 done, 0 refused\n"
    assert api.asked[-1][2] == {"limit": 100, "dryRun": False, "status": "failed"}


def test_bulk_tells_of_new_runs_and_of_those_that_it_would_take(
    cli: Cli, api: Api, on: tuple[str, str]
) -> None:
    api.says("POST /runs/bulk", answer(done=[RUN], created=[OTHER]))
    assert OTHER in cli("runs", "bulk", "rerun", *on).out
    assert json.loads(cli("runs", "bulk", "rerun", "--json", *on).out)["created"] == [OTHER]
    api.says("POST /runs/bulk", answer())
    dry = cli("runs", "bulk", "retry", "--dry-run", "--limit", "5", *on).out.splitlines()
    assert dry[1:] == [RUN, OTHER]
    assert api.asked[-1][2] == {"action": "retry", "limit": 5, "dryRun": True}
    assert cli("runs", "bulk", "explode", *on).code == 2
