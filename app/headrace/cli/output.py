"""Printing: tables and lines for people, JSON for programs, complaints to stderr.

Names, errors and logs are of people whom nobody knows: controls of the terminal in them are shown, not sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headrace.graph.json_types import JsonValue
from headrace.graph.visible import visible

# What is no terminal has no width: 80 columns would break ids in two.
_WIDTH_OF_A_FILE = 160

_COLOURS = {
    "succeeded": "green",
    "completed": "green",
    "running": "cyan",
    "queued": "blue",
    "waiting": "yellow",
    "failed": "red",
    "upstream_failed": "red",
    "cancelled": "magenta",
    "skipped": "bright_black",
    "pending": "bright_black",
}


def console(stderr: bool = False) -> Console:
    """Made anew for each use: tests and pipes replace the streams."""
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = _WIDTH_OF_A_FILE
    return made


def say(text: str = "") -> None:
    console().print(visible(text), soft_wrap=True)


def complain(text: str) -> None:
    """Says something on stderr."""
    console(stderr=True).print(visible(text), soft_wrap=True)


def print_json(value: JsonValue) -> None:
    print(visible(json.dumps(value, indent=2, ensure_ascii=False)))


def tell(answer: JsonValue, as_json: bool, text: str) -> None:
    """The answer for programs, or what it means for people."""
    if as_json:
        print_json(answer)
    else:
        say(text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """A table, or the text `empty` when it has no rows."""
    lines = list(rows)
    if lines:
        console().print(make_table(columns, lines))
    else:
        say(empty)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without frames; names of states have their colour."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell), style=_COLOURS.get(cell, "")) for cell in row))
    return table


def show_time(moment: datetime) -> str:
    """Local time to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_milliseconds(milliseconds: float) -> str:
    """The same for a moment in milliseconds since 1970."""
    return show_time(datetime.fromtimestamp(milliseconds / 1000, UTC))


def show_span(start: datetime | None, end: datetime | None) -> str:
    """How long something took; '' when it has not begun or not ended."""
    return f"{(end - start).total_seconds():.2f} s" if start and end else ""
