"""`headrace stats` against an API that says what each test tells it to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from headrace.cli.statistics import beginning
from headrace.errors import InvalidInput
from headrace.graph.json_types import JsonObject
from support.scripted_api import Api
from support.terminal import Cli

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
TOOK: JsonObject = {"averageMs": 1.25, "p50Ms": 1.0, "p95Ms": 2500.0, "p99Ms": None}
LINE: JsonObject = {
    "project": "default",
    "name": "sendEmail",
    "count": 12,
    "success": 10,
    "failure": 2,
    "retries": 1,
    "execution": TOOK,
    "queueWait": TOOK,
    "ownWorkers": ["busy", "dies"],
}


def test_a_line_for_each_name(cli: Cli, api: Api) -> None:
    api.says("GET /stats", {"items": [LINE]})
    line = cli("stats", "--url", api.url).out.splitlines()[1]
    assert " ".join(line.split()) == "default sendEmail 12 10 2 1 1.2 ms 1.0 ms 2.50 s 2.50 s busy, dies"
    (asked,) = (path for _, path, _ in api.asked)
    assert "since=" in asked
    assert "project=" not in asked


def test_json_and_a_project(cli: Cli, api: Api) -> None:
    api.says("GET /stats", {"items": [LINE]})
    out = cli("stats", "--project", "shop", "--json", "--url", api.url).out
    assert json.loads(out) == {"items": [LINE]}
    assert "project=shop" in api.asked[-1][1]


def test_nothing_ran(cli: Cli, api: Api) -> None:
    api.says("GET /stats", {"items": []})
    assert cli("stats", "--url", api.url).out == "Nothing ran in this time.\n"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", NOW - timedelta(days=1)),
        ("7d", NOW - timedelta(days=7)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_beginning_of_a_window(text: str, moment: datetime) -> None:
    assert beginning(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "5", "-3h", "99999999d"])
def test_a_beginning_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        beginning(text, NOW)
