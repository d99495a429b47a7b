"""Problems where the report of a failing test shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from headrace.engine.program import Engine
from headrace.engine.reading import events_after
from headrace.errors import InvalidInput, Problem
from headrace.store.events import Cursor


@contextmanager
def noting_problems() -> Iterator[None]:
    """Lets the report of a test that fails list every problem."""
    try:
        yield
    except InvalidInput as error:
        for one in error.problems:
            where, hint = f"{one.path}: " if one.path else "", f" ({one.hint})" if one.hint else ""
            error.add_note(f"  {where}{one.message}{hint}")
        raise


async def refused_signals(engine: Engine, run_id: UUID) -> list[Problem]:
    """The signals that came early, and that the node which wanted them did not accept then."""
    problems, cursor = [], Cursor()
    while events := (await events_after(engine, run_id, cursor)).events:
        for event in (one.event for one in events):
            if event.type == "signal.refused" and isinstance(event.data, dict):
                problems.append(Problem(str(event.data.get("name")), str(event.data.get("reason"))))
        cursor = events[-1].cursor
    return problems
