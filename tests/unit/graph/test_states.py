"""The table of moves, and what is made from it."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.graph.dispatch import RunTask
from headrace.graph.ids import TaskId
from headrace.graph.outcome import Failed
from headrace.graph.states import (
    ENDED,
    NOT_ENDED,
    RUN_ENDED,
    RUN_MOVES,
    TASK_MOVES,
    RunStatus,
    TaskStatus,
    mermaid,
    run_sources,
    sources,
)

RUN = UUID("0190f5d2-7c1e-7000-8000-000000000001")


def test_every_state_has_its_moves() -> None:
    assert set(TASK_MOVES) == set(TaskStatus)
    assert set(RUN_MOVES) == set(RunStatus)


def test_a_state_has_ended_or_has_not() -> None:
    assert {status.value for status in ENDED} == {
        "completed",
        "failed",
        "skipped",
        "upstream_failed",
        "cancelled",
    }
    assert set(TaskStatus) - ENDED == NOT_ENDED
    assert {status.value for status in RUN_ENDED} == {"succeeded", "failed", "cancelled"}


def test_every_state_can_be_reached_and_can_end() -> None:
    reached = {target for moves in TASK_MOVES.values() for target in moves}
    assert reached | {TaskStatus.PENDING} == set(TaskStatus)
    for status in NOT_ENDED:
        assert TaskStatus.CANCELLED in TASK_MOVES[status]


@pytest.mark.parametrize("target", TaskStatus)
def test_sources_are_the_states_that_may_move_there(target: TaskStatus) -> None:
    assert sources(target) == sorted(one.value for one in TaskStatus if target in TASK_MOVES[one])


@pytest.mark.parametrize("target", RunStatus)
def test_sources_of_a_run_are_the_states_that_may_move_there(target: RunStatus) -> None:
    assert run_sources(target) == sorted(one.value for one in RunStatus if target in RUN_MOVES[one])


def test_known_guards() -> None:
    assert sources(TaskStatus.RUNNING) == ["queued"]
    assert sources(TaskStatus.COMPLETED) == ["running"]
    assert sources(TaskStatus.SKIPPED) == ["pending"]
    assert sources(TaskStatus.CANCELLED) == ["pending", "queued", "running", "waiting"]
    assert run_sources(RunStatus.SUCCEEDED) == ["paused", "running"]


def test_the_diagram_shows_each_move_and_no_other() -> None:
    lines = mermaid().splitlines()
    moves = {f"  {source} --> {target}" for source, targets in TASK_MOVES.items() for target in targets}
    ends = {f"  {status} --> [*]" for status in ENDED}
    assert lines[0] == "stateDiagram-v2"
    assert sorted(lines[1:]) == sorted({"  [*] --> pending", "  [*] --> queued"} | moves | ends)


def test_the_name_of_a_task_is_read_back() -> None:
    task = TaskId(RUN, 12)
    assert str(task) == f"{RUN}-12"
    assert TaskId.parse(str(task)) == task


@pytest.mark.parametrize("text", ["", "12", f"{RUN}", f"{RUN}-", f"{RUN}-x", "no-uuid-3"])
def test_what_names_no_task_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|invalid literal"):
        TaskId.parse(text)


def test_a_job_is_named_after_task_attempt_and_delivery() -> None:
    job = RunTask(TaskId(RUN, 3), attempt=2, delivery=5, node_id="a", timeout=300)
    assert job.job_id == f"{RUN}-3-2-5"


def test_a_failure_tells_handlers_its_kind_and_message() -> None:
    assert Failed("no").as_error() == {"type": "NodeError", "message": "no"}
    error = Failed("gone", kind="HttpError", details={"status": 404}).as_error()
    assert error == {"type": "HttpError", "message": "gone", "details": {"status": 404}}
