"""The states of tasks and runs, and the one table of moves between them.

The guards of every UPDATE in the store and the diagram in the docs are made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"


class RunStatus(StrEnum):
    """Where a run stands. queued: it waits for its turn, among its siblings or behind a concurrency key."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_T = TaskStatus
_R = RunStatus

TASK_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    _T.PENDING: frozenset({_T.QUEUED, _T.SKIPPED, _T.UPSTREAM_FAILED, _T.CANCELLED}),
    _T.QUEUED: frozenset({_T.QUEUED, _T.RUNNING, _T.WAITING, _T.CANCELLED}),
    _T.RUNNING: frozenset({_T.COMPLETED, _T.FAILED, _T.WAITING, _T.CANCELLED, _T.QUEUED}),
    _T.WAITING: frozenset({_T.QUEUED, _T.CANCELLED}),
    _T.COMPLETED: frozenset(),
    _T.FAILED: frozenset(),
    _T.SKIPPED: frozenset(),
    _T.UPSTREAM_FAILED: frozenset(),
    _T.CANCELLED: frozenset(),
}
"""queued -> queued is a second delivery; queued -> waiting a pause or a limit; running -> queued a lost
worker or a hand-back at shutdown. What times out while it is queued or waits is first taken, then fails."""

REOPENS: Mapping[TaskStatus, TaskStatus] = {
    _T.FAILED: _T.QUEUED,
    _T.UPSTREAM_FAILED: _T.PENDING,
    _T.SKIPPED: _T.PENDING,
    _T.CANCELLED: _T.PENDING,
    _T.COMPLETED: _T.PENDING,
}
"""The only moves out of an ended state: a retry in place. Of the completed, only `finally` nodes; these wait
again also if they failed, and so does a failed task behind another one that runs again."""

RUN_MOVES: Mapping[RunStatus, frozenset[RunStatus]] = {
    _R.QUEUED: frozenset({_R.RUNNING, _R.FAILED, _R.CANCELLED}),
    _R.RUNNING: frozenset({_R.PAUSED, _R.SUCCEEDED, _R.FAILED, _R.CANCELLED}),
    _R.PAUSED: frozenset({_R.RUNNING, _R.SUCCEEDED, _R.FAILED, _R.CANCELLED}),
    _R.SUCCEEDED: frozenset(),
    _R.FAILED: frozenset(),
    _R.CANCELLED: frozenset(),
}

RUN_REOPENS: Mapping[RunStatus, RunStatus] = {
    _R.FAILED: _R.RUNNING,
    _R.CANCELLED: _R.RUNNING,
    _R.PAUSED: _R.RUNNING,
}
"""A retry in place: the only move out of an ended run. A run that a failure paused goes on with it. One that
runs for a task is `queued` before, until its turn among its siblings comes."""

ENDED: frozenset[TaskStatus] = frozenset(status for status, moves in TASK_MOVES.items() if not moves)
"""States of a task that nothing leaves but a retry in place."""

RUN_ENDED: frozenset[RunStatus] = frozenset(status for status, moves in RUN_MOVES.items() if not moves)
"""States of a run that nothing leaves but a retry in place."""

NOT_ENDED: frozenset[TaskStatus] = frozenset(TASK_MOVES) - ENDED


def sources(target: TaskStatus) -> list[str]:
    """The states that a task may leave for `target`: the guard of the UPDATE that moves it there."""
    return sorted(status.value for status, moves in TASK_MOVES.items() if target in moves)


def run_sources(target: RunStatus) -> list[str]:
    """The states that a run may leave for `target`."""
    return sorted(status.value for status, moves in RUN_MOVES.items() if target in moves)


def mermaid() -> str:
    """The task states as a Mermaid state diagram, for the docs."""
    moves = [(source, target) for source, targets in TASK_MOVES.items() for target in sorted(targets)]
    lines = [f"  {source} --> {target}" for source, target in moves]
    lines += [f"  {status} --> [*]" for status in TASK_MOVES if status in ENDED]
    return "\n".join(["stateDiagram-v2", "  [*] --> pending", "  [*] --> queued", *lines]) + "\n"
