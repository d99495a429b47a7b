"""A setting with a slip of the pen is told; what clients keep beside the settings is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.errors import Problem
from headrace.graph.definition import Node, parse
from headrace.graph.json_types import JsonObject
from support.project import ROOT
from support.rules import RULES

FILES = sorted([*(ROOT / "examples").glob("0*.json"), *(ROOT / "examples/nodes").glob("*.json")])


@pytest.mark.parametrize(
    ("kind", "config", "near"),
    [
        ("notification", {"templte": "Hi"}, {"templte": "template"}),
        ("apiCall", {"urls": "http://x", "timeoutMS": 5}, {"urls": "url", "timeoutMS": "timeoutMs"}),
        ("approval", {"option": ["a"]}, {"option": "options"}),
        ("approval", {"label": "Ask", "colour": "red", "timeout_seconds": 5}, {}),
        ("noop", {"anything": 1}, {}),
    ],
)
def test_a_name_that_is_nearly_one(kind: str, config: JsonObject, near: dict[str, str]) -> None:
    found = RULES.cautions(Node(id="n", type=kind, config=config))
    assert found == [
        Problem(f"config.{name}", "is no setting and is not read", f"did you mean '{meant}'?")
        for name, meant in near.items()
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_our_own_workflows_have_none(file: Path) -> None:
    told = RULES.all_cautions(parse(json.loads(file.read_text())))
    assert [one for one in told if "is no setting" in one.message] == []
