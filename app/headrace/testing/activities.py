"""Tests of activities as what they are: functions. `context()` works inside `activity_context`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from headrace.activities.context import ActivityContext, RunLogger, entered
from headrace.graph.json_types import JsonValue


@dataclass(frozen=True)
class Told:
    """What an activity's code told while a test called it.

    log: lines as (level, text). heartbeats: (progress, details).
    """

    log: list[tuple[str, str]] = field(default_factory=list)
    heartbeats: list[tuple[float | None, JsonValue]] = field(default_factory=list)
    _cancelled: Event = field(default_factory=Event)

    def cancel(self) -> None:
        """From now on the code sees that its attempt is over."""
        self._cancelled.set()


@contextmanager
def activity_context(
    activity: str = "test", *, input: JsonValue = None, attempt: int = 1, idempotency_key: str = "test-0"
) -> Iterator[Told]:
    """Inside, `context()` answers as in a worker; what the code tells it is collected."""
    told = Told()
    here = ActivityContext(
        run_id="00000000-0000-0000-0000-000000000000",
        node_id=activity,
        node_name=activity,
        activity=activity,
        attempt=attempt,
        idempotency_key=idempotency_key,
        input=input,
        logger=RunLogger(lambda level, text: told.log.append((level, text))),
        _beat=lambda progress, details: told.heartbeats.append((progress, details)),
        _cancelled=told._cancelled,
    )
    with entered(here):
        yield told
