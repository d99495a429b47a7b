"""`headrace worker list` and `headrace scale` against an API that says what each test tells it to."""

from __future__ import annotations

import pytest

from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli


def worker(**said: object) -> JsonObject:
    return {
        "name": "here-1",
        "pid": 1,
        "host": "here",
        "state": "running",
        "healthy": True,
        "projects": ["shop", "bank"],
        "startedAt": "2026-01-01T00:00:00Z",
        "lastHeartbeat": "2026-01-01T00:00:00Z",
        **said,
    }


@pytest.mark.parametrize(("healthy", "state"), [(True, "running"), (False, "silent")])
def test_a_line_says_whether_a_worker_is_heard_of(cli: Cli, api: Api, healthy: bool, state: str) -> None:
    api.says("GET /workers", {"items": [worker(healthy=healthy)]})
    line = cli("worker", "list", "--url", api.url).out.splitlines()[1]
    assert line.split()[:6] == ["here-1", "here", "1", state, "shop,", "bank"]


def test_scale_counts_the_workers_of_the_project(cli: Cli, api: Api) -> None:
    api.says("PUT /workers/desired", {"count": 1, "project": "shop"})
    api.says(
        "GET /workers",
        {"items": [worker(), worker(projects=["default"]), worker(healthy=False), worker(state="stopping")]},
    )
    assert cli("scale", "1", "--project", "shop", "--url", api.url).code == 0
    assert ("PUT", "/workers/desired", {"count": 1, "project": "shop"}) in api.asked
