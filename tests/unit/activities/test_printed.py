"""What an activity prints in a process of its own, on its way into the run's log."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.activities.afar import Printed
from headrace.activities.context import MOST_LINES, MOST_TEXT
from headrace.graph.json_types import JsonValue


def said(*parts: str) -> list[str]:
    notes: list[JsonValue] = []
    printed = Printed(notes.append)
    for part in parts:
        assert printed.write(part) == len(part)
    printed.finish()
    return [str(note["printed"]) for note in notes if isinstance(note, dict)]


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ((), []),
        (("",), []),
        (("a",), ["a"]),
        (("\n",), [""]),
        (("a", "b\nc", "\n\nd"), ["ab", "c", "", "d"]),
        (("x" * MOST_TEXT, "y", "\nz"), ["x" * MOST_TEXT, "z"]),
        (("x\n" * MOST_LINES,), ["x"] * MOST_LINES),
        (("x\n" * (MOST_LINES + 5),), ["x"] * (MOST_LINES - 1) + ["(6 more lines)"]),
    ],
)
def test_it_is_said_line_by_line(parts: tuple[str, ...], lines: list[str]) -> None:
    assert said(*parts) == lines


@given(st.lists(st.text("ab\n", max_size=9)))
def test_how_it_is_written_makes_no_difference(parts: list[str]) -> None:
    assert said(*parts) == said("".join(parts))


def test_a_line_without_end_is_kept_as_far_as_it_is_said() -> None:
    """Else each write would copy all that came before."""
    printed = Printed(lambda _: None)
    part = "x" * 1_000
    tracemalloc.start()
    for _ in range(5_000):
        printed.write(part)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(held, most) < 10 * MOST_TEXT
