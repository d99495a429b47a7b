"""`headrace workflow versions|activate|diff` against an API that says what each test tells it to."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli

ID = str(UUID(int=1))
NOTHING: JsonObject = {"added": [], "removed": [], "changed": {}}


@pytest.fixture
def on(api: Api) -> tuple[str, str]:
    return ("--url", api.url)


def test_versions(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    line: JsonObject = {"version": 2, "name": "Greet", "isCurrent": True, "createdAt": "2026-01-01T00:00:00Z"}
    api.says(f"GET /workflows/{ID}/versions", [line, line | {"version": 1, "isCurrent": False}])
    lines = cli("workflow", "versions", ID, *on).out.splitlines()
    assert [one.split()[:3] for one in lines[1:]] == [
        ["2", "current", "Greet"],
        ["1", "Greet", lines[2].split()[2]],
    ]
    assert json.loads(cli("workflow", "versions", ID, "--json", *on).out)[0] == line


def test_activate(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"POST /workflows/{ID}/versions/1/activate", {"id": ID})
    assert cli("workflow", "activate", ID, "1", *on).out == f"Version 1 of {ID} is the current one\n"
    assert cli("workflow", "activate", ID, "7", *on).code == 1


def test_diff(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    changed: JsonObject = {"path": "config.x", "kind": "changed", "before": 1, "after": [2]}
    new: JsonObject = {"path": "maxLost", "kind": "added", "before": None, "after": 3}
    gone: JsonObject = {"path": "timeout", "kind": "removed", "before": 60, "after": None}
    nodes: JsonObject = {"added": ["b"], "removed": ["c"], "changed": {"a": [changed, new]}}
    answer: JsonObject = {"isSame": False, "settings": [gone], "nodes": nodes, "edges": NOTHING}
    api.says(f"GET /workflows/{ID}/versions/diff", answer)
    assert cli("workflow", "diff", ID, "1", "2", *on).out.splitlines() == [
        "~ timeout: 60 (gone)",
        "+ node b",
        "- node c",
        "~ node a  config.x: 1 -> [2]",
        "~ node a  maxLost: 3 (new)",
    ]
    assert api.asked[-1][1] == f"/workflows/{ID}/versions/diff?from=1&to=2"


def test_no_difference(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    answer: JsonObject = {"isSame": True, "settings": [], "nodes": NOTHING, "edges": NOTHING}
    api.says(f"GET /workflows/{ID}/versions/diff", answer)
    assert cli("workflow", "diff", ID, "1", "1", *on).out == "No difference.\n"


def test_delete_by_force(cli: Cli, api: Api, on: tuple[str, str]) -> None:
    api.says(f"DELETE /workflows/{ID}", {"deleted": True})
    assert cli("workflow", "delete", ID, "--force", *on).code == 0
    assert api.asked[-1][1] == f"/workflows/{ID}?force=true"
