"""`examples/nodes/`: a workflow for each node type that the samples do not show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.graph.definition import parse
from headrace.graph.validate import require_valid
from support.project import ROOT
from support.rules import RULES

FILES = sorted((ROOT / "examples/nodes").glob("*.json"))


def test_the_node_types_that_wait_have_theirs() -> None:
    found = {node.type for file in FILES for node in parse(json.loads(file.read_text())).nodes}
    assert {"approval", "question", "waitSignal", "waitUntil", "httpPoll"} <= found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_valid(file: Path) -> None:
    require_valid(parse(json.loads(file.read_text())), RULES)
