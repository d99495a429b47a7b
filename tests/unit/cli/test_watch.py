from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace.cli.answers import Event, RunView
from headrace.cli.errors import Exit
from headrace.cli.watch import NodeLine, Progress, exit_of
from headrace.graph.json_types import JsonValue

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(kind: str, seconds: float = 0, data: JsonValue = None, node: str | None = "a") -> Event:
    return Event(type=kind, node_id=node, data=data, at=START + timedelta(seconds=seconds))


def test_a_retried_node_shows_its_last_attempt() -> None:
    progress = Progress()
    for one in (
        event("task.running", 1, {"attempt": 1}),
        event("task.waiting", 2),
        event("task.queued", 3, {"attempt": 2}),
        event("task.running", 4, {"attempt": 2}),
        event("task.completed", 4.5),
    ):
        assert progress.apply(one)
    ended = START + timedelta(seconds=4.5)
    assert progress.nodes == {"a": NodeLine("completed", 2, START + timedelta(seconds=4), ended)}


@pytest.mark.parametrize("one", [event("log"), event("run.succeeded", node=None)])
def test_other_events_change_no_node(one: Event) -> None:
    progress = Progress()
    assert not progress.apply(one)
    assert progress.nodes == {}


@pytest.mark.parametrize(
    ("status", "code"),
    [("succeeded", 0), ("failed", 1), ("cancelled", 3)],
)
def test_the_exit_code_is_the_runs_status(status: str, code: int) -> None:
    run = RunView(id="r", workflow_id="w", status=status, started_at=START)
    assert exit_of(run) is Exit(code)
