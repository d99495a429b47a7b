"""The guards of UPDATEs, made from the table of moves."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.graph.states import ENDED, NOT_ENDED, RunStatus, TaskStatus, run_sources, sources


def _listed(values: Iterable[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in sorted(values)) + ")"


def may_become(target: TaskStatus) -> list[str]:
    """The states that a task may leave for `target`: a parameter of the UPDATE that moves it there.

    Not a literal: PostgreSQL would choose the partial index of that state, and read all of it, over the
    primary key.
    """
    return sources(target)


def run_may_become(target: RunStatus) -> list[str]:
    """The states that a run may leave for `target`: a parameter of the UPDATE that moves it there."""
    return run_sources(target)


ENDED_LIST = _listed(ENDED)
NOT_ENDED_LIST = _listed(NOT_ENDED)
