"""`headrace projects`, `headrace secret` and `--project`, against a scripted API."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest

from support.build import chain
from support.scripted_api import Api
from support.terminal import Cli

ID, RUN = str(UUID(int=1)), str(UUID(int=2))
SECRETS = "/projects/shop/secrets"


def test_list_projects(cli: Cli, api: Api) -> None:
    line = {"name": "shop", "workflows": 1, "activeRuns": 2, "workers": 3, "ownWorkers": 4}
    api.says("GET /projects", {"items": [line]})
    assert cli("projects", "--url", api.url).out.splitlines()[1].split() == ["shop", "1", "2", "3", "4"]
    assert json.loads(cli("projects", "--json", "--url", api.url).out) == {"items": [line]}


def test_a_secret_is_read_from_stdin_and_never_printed(
    cli: Cli, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.says(f"PUT {SECRETS}/TOKEN", {"name": "TOKEN", "updatedAt": "2026-11-21T09:00:00Z"})
    monkeypatch.setattr("sys.stdin", StringIO("t0ps3cret \n"))
    said = cli("secret", "set", "TOKEN", "--project", "shop", "--url", api.url)
    assert said.out == "Kept TOKEN of project shop\n"
    assert "t0ps3cret" not in said.out + said.err
    (body,) = [one for method, path, one in api.asked if (method, path) == ("PUT", f"{SECRETS}/TOKEN")]
    assert body == {"value": "t0ps3cret "}


def test_list_and_delete_secrets(cli: Cli, api: Api) -> None:
    api.says(f"GET {SECRETS}", {"items": [{"name": "TOKEN", "updatedAt": "2026-11-21T09:00:00Z"}]})
    api.says(f"DELETE {SECRETS}/TOKEN", {"deleted": True})
    assert "TOKEN" in cli("secret", "list", "--project", "shop", "--url", api.url).out
    told = cli("secret", "delete", "TOKEN", "--project", "shop", "--url", api.url).out
    assert told == "Deleted TOKEN of project shop\n"


def test_a_file_is_saved_for_its_project(cli: Cli, api: Api, tmp_path: Path) -> None:
    """By the option, else by the file itself; only there a workflow of the same name is looked for."""
    file = tmp_path / "flow.json"
    for content, options, owner in (
        (chain(1), ["--project", "shop"], "shop"),
        ({**chain(1), "project": "shop"}, [], "shop"),
        (chain(1), [], "default"),
    ):
        file.write_text(json.dumps(content))
        api.asked.clear()
        api.says("GET /workflows", [])
        api.says("POST /workflows", {"id": ID, "warnings": []})
        api.says(f"POST /workflows/{ID}/execute-async", {"runId": RUN})
        assert cli("run", str(file), *options, "--url", api.url).out.strip() == RUN
        asked = [path for method, path, _ in api.asked if method == "GET"]
        assert f"project={owner}" in asked[0]
        (posted,) = [path for method, path, _ in api.asked if method == "POST" and "execute" not in path]
        assert posted == ("/workflows?project=shop" if options else "/workflows")


def test_lists_of_one_project(cli: Cli, api: Api) -> None:
    api.says("GET /workflows", [{"id": ID, "name": "test", "project": "shop", "updatedAt": 0}])
    for path in ("/runs", "/schedules", "/webhooks/subscriptions"):
        api.says(f"GET {path}", {"items": []})
    for command in ("runs", "schedule", "webhook"):
        cli(command, "list", "--project", "shop", "--url", api.url)
    for path in ("/runs", "/schedules", "/webhooks/subscriptions"):
        (asked,) = [one for _, one, _ in api.asked if one.startswith(path)]
        assert "project=shop" in asked
