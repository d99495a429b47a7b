"""`context()` and standard output in a process that does not hold the task: both speak by notes.

Imported by child processes that run isolated code, so it imports little.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from headrace.activities.context import MOST_LINES, MOST_TEXT, ActivityContext, RunLogger
from headrace.activities.notes import Hear, hearer
from headrace.graph.json_types import JsonObject


def context_afar(facts: JsonObject) -> ActivityContext:
    """What `context()` gives here. facts: as of `headrace.nodes.activity_facts.facts_of`."""
    hear = hearer.get()
    return ActivityContext(
        run_id=str(facts["run_id"]),
        node_id=str(facts["node_id"]),
        node_name=str(facts["node_name"]),
        activity=str(facts["activity"]),
        attempt=int(str(facts["attempt"])),
        idempotency_key=str(facts["idempotency_key"]),
        input=facts["input"],
        logger=RunLogger(lambda level, text: hear({"level": level, "text": text})),
        _beat=lambda progress, details: hear({"progress": progress, "details": details}),
    )


class Printed(io.TextIOBase):
    """Standard output that says each line at once; of too many, the last says how many are missing."""

    def __init__(self, hear: Hear) -> None:
        super().__init__()
        self._hear = hear
        self._open: list[str] = []  # parts of the last line, no more of it than is said
        self._room = MOST_TEXT
        self._lines = 0
        self._last = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        first, *others = text.split("\n")
        self._add(first)
        for part in others:
            self._end_line()
            self._add(part)
        return len(text)

    def finish(self) -> None:
        """Says what stands in the last line, or how much is left out."""
        if self._open:
            self._end_line()
        if self._lines == MOST_LINES:
            self._say(self._last)
        elif self._lines > MOST_LINES:
            self._say(f"({self._lines - MOST_LINES + 1} more lines)")

    def _add(self, part: str) -> None:
        if part and self._room:
            self._open.append(part[: self._room])
            self._room -= len(self._open[-1])

    def _end_line(self) -> None:
        line = "".join(self._open)
        self._open, self._room = [], MOST_TEXT
        self._lines += 1
        if self._lines < MOST_LINES:
            self._say(line)
        elif self._lines == MOST_LINES:
            self._last = line

    def _say(self, line: str) -> None:
        self._hear({"printed": line})


@contextlib.contextmanager
def printed_is_said() -> Iterator[None]:
    """What is printed inside goes into the run's log, also when the code fails."""
    printed = Printed(hearer.get())
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        printed.finish()
