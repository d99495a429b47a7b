"""`headrace webhook` and `headrace event` against an API that says what each test tells it to."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from support.scripted_api import Api
from support.terminal import Cli

ID, WORKFLOW, RUN = str(UUID(int=1)), str(UUID(int=2)), str(UUID(int=3))
KEPT = "/webhooks/subscriptions"
HOOK: JsonObject = {
    "id": ID,
    "path": "shop/orders",
    "workflowId": WORKFLOW,
    "hasSecret": True,
    "filters": {"kind": "order"},
    "isActive": True,
}
SHOWN = ["setting value", f"id {ID}", "path shop/orders", f"workflowId {WORKFLOW}", "hasSecret true"]


@pytest.fixture
def on(api: Api) -> tuple[str, str]:
    api.says(f"GET {KEPT}", {"items": [HOOK]})
    api.says("GET /workflows", [{"id": WORKFLOW, "name": "Ship", "updatedAt": 0}])
    return ("--url", api.url)


def test_list_webhooks(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    said = cli("webhook", "list", "--workflow", "Ship", *on).out.splitlines()
    assert said[1].split() == [ID, "shop/orders", "Ship", "yes", "active"]
    assert f"workflowId={WORKFLOW}" in next(path for _, path, _ in api.asked if path.startswith(KEPT))
    assert json.loads(cli("webhook", "list", "--json", *on).out) == {"items": [HOOK]}
    api.says(f"GET {KEPT}", {"items": []})
    assert cli("webhook", "list", *on).out == "No webhooks yet.\n"


@pytest.mark.parametrize("secret", ["s3cret-text", "@secret.txt"])
def test_create_a_webhook(cli: Cli, api: Api, on: tuple[str, str], tmp_path: Path, secret: str) -> None:
    (tmp_path / "secret.txt").write_text("s3cret-text\n")
    api.says(f"POST {KEPT}", HOOK, 201)
    options = ("--secret", secret, "--filters", '{"kind": "order"}', "--mapping", '"${payload}"')
    said = cli("webhook", "create", "Ship", "shop/orders", *options, "--tolerance", "300", *on)
    assert said.out == f"{api.url}/webhooks/shop/orders\n"
    assert api.asked[-1][2] == {
        "workflowId": WORKFLOW,
        "path": "shop/orders",
        "secret": "s3cret-text",
        "filters": {"kind": "order"},
        "mapping": "${payload}",
        "tolerance": 300,
    }
    wrong = cli("webhook", "create", "Ship", "shop/orders", "--filters", "{", *on)
    assert (wrong.code, wrong.err.startswith("--filters is not JSON")) == (2, True)


def test_show_enable_disable_and_delete_a_webhook(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    path = f"{KEPT}/{ID}"
    api.says(f"GET {path}", HOOK)
    api.says(f"PUT {path}", HOOK)
    api.says(f"DELETE {path}", {"deleted": True})
    lines = [" ".join(line.split()) for line in cli("webhook", "show", "shop/orders", *on).out.splitlines()]
    assert lines == [*SHOWN, 'filters {"kind": "order"}', "isActive true"]
    assert json.loads(cli("webhook", "show", ID, "--json", *on).out) == HOOK
    assert cli("webhook", "disable", "shop/orders", *on).out == "Disabled shop/orders\n"
    assert api.asked[-1] == ("PUT", path, {"isActive": False})
    assert cli("webhook", "enable", ID, *on).out == f"Enabled {ID}\n"
    assert api.asked[-1] == ("PUT", path, {"isActive": True})
    assert json.loads(cli("webhook", "delete", ID, "--json", *on).out) == {"id": ID, "deleted": True}
    missing = cli("webhook", "delete", "nothing", *on)
    assert (missing.code, missing.err) == (
        1,
        "There is no webhook 'nothing'; `headrace webhook list` shows those that are there\n",
    )


def test_send_an_event(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    results: JsonValue = [
        {"handler": "ship", "status": "started", "runId": RUN, "reason": None},
        {"handler": "bill", "status": "failed", "runId": None, "reason": "no such run"},
    ]
    api.says("POST /events", {"isNew": True, "results": results}, 201)
    said = cli("event", "send", "order.paid", "--data", '{"sum": 1}', "--id", "e1", *on)
    assert [line.split() for line in said.out.splitlines()[1:]] == [
        ["ship", "started", RUN],
        ["bill", "failed", "no", "such", "run"],
    ]
    assert api.asked[-1][2] == {"name": "order.paid", "id": "e1", "data": {"sum": 1}}
    api.says("POST /events", {"isNew": False, "results": []})
    again = cli("event", "send", "order.paid", *on)
    assert api.asked[-1][2] == {"name": "order.paid"}
    assert (again.out, again.err) == (
        "No handler is concerned.\n",
        "The event was known; this is what it did then.\n",
    )
    known = json.loads(cli("event", "send", "order.paid", "--json", *on).out)
    assert known == {"isNew": False, "results": []}
    assert cli("event", "send", "order.paid", "--data", "{", *on).err.startswith("--data is not JSON")


def test_list_event_handlers(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    action: JsonObject = {"type": "start_workflow", "workflowId": WORKFLOW}
    line: JsonObject = {"name": "ship", "pattern": "order.*", "action": action, "isActive": False}
    api.says("GET /event-handlers", {"items": [line]})
    said = cli("event", "handlers", *on).out.splitlines()[1]
    assert said.split() == ["ship", "order.*", "start_workflow", WORKFLOW, "off"]
    assert json.loads(cli("event", "handlers", "--json", *on).out) == {"items": [line]}
