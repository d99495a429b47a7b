"""What isolated code says while it runs: heartbeats and lines of the log, as JSON.

Imported by every child process that runs isolated code, so it imports little.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

from headrace.graph.json_types import JsonValue

Hear: TypeAlias = Callable[[JsonValue], None]
"""Takes a note. It may be called from any thread."""


def _nobody(note: JsonValue) -> None:
    """Where nobody listens, notes are lost."""


hearer: ContextVar[Hear] = ContextVar("hearer", default=_nobody)
"""Who hears the notes of the code that runs here."""
