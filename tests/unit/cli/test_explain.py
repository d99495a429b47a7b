"""`headrace runs explain`, against an API that says what each test tells it to."""

from __future__ import annotations

import json
from uuid import UUID

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli

RUN = str(UUID(int=1))
WAITS = "waits for node approve, which waits for signal go"
EXPLAINED: JsonObject = {
    "runId": RUN,
    "status": "running",
    "text": WAITS,
    "hasMore": False,
    "causes": [],
    "tasks": [{"id": f"{RUN}-1", "nodeId": "pay", "status": "pending", "text": WAITS, "causes": []}],
}


def test_a_run_and_its_nodes_are_explained(cli: Cli, api: Api) -> None:
    api.says(f"GET /runs/{RUN}/explain", EXPLAINED)
    said = cli("runs", "explain", RUN, "--url", api.url)
    assert said.code == 0
    first, _, head, row, _ = said.out.split("\n")
    assert first == f"Run {RUN} (running) {WAITS}"
    assert head.split() == ["node", "status", "why"]
    assert row.split(maxsplit=2) == ["pay", "pending", WAITS]


def test_one_node_is_asked_for(cli: Cli, api: Api) -> None:
    api.says(f"GET /runs/{RUN}/explain", EXPLAINED)
    said = cli("runs", "explain", RUN, "--node", "pay", "--json", "--url", api.url)
    assert json.loads(said.out) == EXPLAINED
    assert api.asked[-1][1] == f"/runs/{RUN}/explain?node=pay"


def test_nothing_to_explain_is_said(cli: Cli, api: Api) -> None:
    api.says(f"GET /runs/{RUN}/explain", EXPLAINED | {"status": "succeeded", "text": "", "tasks": []})
    said = cli("runs", "explain", RUN, "--url", api.url)
    assert said.out == f"Run {RUN} (succeeded) has ended\n\nNo node waits, and none was passed over.\n"


def test_an_unknown_run_is_said(cli: Cli, api: Api) -> None:
    assert cli("runs", "explain", RUN, "--url", api.url).code != 0
    assert "There is no run 'x'" in cli("runs", "explain", "x", "--url", api.url).err
