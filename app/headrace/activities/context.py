"""What an activity's code knows of its task, and says to it: `context()`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event
from typing import TypeAlias

from headrace.activities.errors import Cancelled, NotInActivity
from headrace.graph.json_types import JsonValue

MOST_DETAILS = 8 * 1024
"""Characters of JSON that the details of a heartbeat may have."""

MOST_LINES = 1_000
"""Lines of the run's log that one attempt may write."""

MOST_TEXT = 20_000
"""Characters of one such line; the rest is cut off."""

Write: TypeAlias = Callable[[str, str], None]
"""Takes a line for the run's log: its level and its text."""

Beat: TypeAlias = Callable[[float | None, JsonValue], None]
"""Takes a heartbeat: progress and details."""


@dataclass(slots=True)
class RunLogger:
    """Writes into the run's log, which is stored when the attempt ends. Used as a `logging.Logger` is.

    Lines over MOST_LINES are dropped, and the last one says so.
    """

    _write: Write
    _lines: int = 0

    def debug(self, message: object, *arguments: object) -> None:
        self.log("debug", message, *arguments)

    def info(self, message: object, *arguments: object) -> None:
        self.log("info", message, *arguments)

    def warning(self, message: object, *arguments: object) -> None:
        self.log("warning", message, *arguments)

    def error(self, message: object, *arguments: object) -> None:
        self.log("error", message, *arguments)

    def log(self, level: str, message: object, *arguments: object) -> None:
        """level: debug, info, warning or error. arguments: for the `%s` of the message."""
        self._lines += 1
        if self._lines > MOST_LINES:
            return
        if self._lines == MOST_LINES:
            level, message, arguments = "warning", f"more than {MOST_LINES} lines: the rest is dropped", ()
        text = str(message) % arguments if arguments else str(message)
        self._write(level, text[:MOST_TEXT])


@dataclass(frozen=True, slots=True)
class ActivityContext:
    """The task that runs this code.

    run_id, node_id, node_name: where it stands. activity: its name. attempt: 1 is the first.
    idempotency_key: the same in all attempts of the task, and in no other task: hand it to whoever must do
    a thing only once. input: the node's input, whatever the parameters took of it.
    """

    run_id: str
    node_id: str
    node_name: str
    activity: str
    attempt: int
    idempotency_key: str
    input: JsonValue
    logger: RunLogger
    _beat: Beat
    _cancelled: Event = field(default_factory=Event)

    def heartbeat(self, progress: float | None = None, details: JsonValue = None) -> None:
        """Shows people how far it is; cheap, call it as often as you like: the last one counts.

        progress: from 0 to 1. details: JSON of at most MOST_DETAILS characters. Raises ValueError.
        """
        if progress is not None and not 0 <= progress <= 1:
            raise ValueError(f"progress goes from 0 to 1, it cannot be {progress}")
        size = 0 if details is None else len(json.dumps(details, allow_nan=False))
        if size > MOST_DETAILS:
            raise ValueError(f"the details have {size} characters, more than {MOST_DETAILS}")
        self._beat(progress, details)

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is over without its code, so that this may stop. For code in threads.

        Async code is stopped by a CancelledError, isolated code by the end of its process.
        """
        return self._cancelled.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises Cancelled if the attempt is over without its code."""
        if self.cancelled:
            raise Cancelled("the attempt is over")


_current: ContextVar[ActivityContext] = ContextVar("activity")


def context() -> ActivityContext:
    """The task that runs the calling code. Raises NotInActivity where there is none.

    Works in the function itself, in what it awaits, and in tasks that it starts; not in threads of its own,
    unless they run in a copy of its context (`contextvars.copy_context()`).
    """
    found = _current.get(None)
    if found is None:
        raise NotInActivity(
            "no activity runs here; in a test, enter `headrace.testing.activity_context()` first"
        )
    return found


@contextmanager
def entered(one: ActivityContext) -> Iterator[ActivityContext]:
    """Makes `context()` answer with this one."""
    token = _current.set(one)
    try:
        yield one
    finally:
        _current.reset(token)
