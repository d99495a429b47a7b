"""The results as text for a terminal and as tables of Markdown. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.sample import Figures
from benchmarks.shapes import NOOP, SHAPES
from benchmarks.targets import Verdict

COLUMNS = (
    ("no-op jobs/s", f"{NOOP} nodes/s", ".0f"),
    ("S1 hop p50 ms", "S1 hop p50 ms", ".2f"),
    ("p95 ms", "S1 hop p95 ms", ".2f"),
    ("S1 s", "S1 seconds", ".3f"),
    ("S2 s", "S2 seconds", ".3f"),
    ("S3 s", "S3 seconds", ".3f"),
    ("S4 nodes/s", "S4 nodes/s", ".0f"),
)


def table(figures: Figures) -> list[list[str]]:
    """A line for everybody, medians of the rounds; the head first."""
    people = [
        who for who in figures.people() if any((f"{name} seconds", who) in figures.values for name in SHAPES)
    ]
    wrong = [who for shape, who in figures.wrong if shape in SHAPES and who not in people]
    people += dict.fromkeys(wrong)
    rows = [[who, *(cell(figures, key, who, form) for _, key, form in COLUMNS)] for who in people]
    return [["", *(title for title, _, _ in COLUMNS)], *rows]


def cell(figures: Figures, key: str, who: str, form: str) -> str:
    if (key.split(" ", 1)[0], who) in figures.wrong:
        return "WRONG"
    value = figures.median(key, who)
    return "-" if value is None else format(value, form)


def verdict_table(found: Sequence[Verdict]) -> list[list[str]]:
    return [
        ["target", "wanted", "measured", ""],
        *([one.text, one.wanted, one.measured, one.word] for one in found),
    ]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if not place else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """A table; numbers: all columns but the first stand to the right."""
    head, *body = rows
    rule = ["---", *("---:" if numbers else "---" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def text(figures: Figures, found: Sequence[Verdict]) -> str:
    """Everything that a terminal shows at the end."""
    wrong = [f"WRONG  {who} {shape}: {why}" for (shape, who), why in figures.wrong.items()]
    notes = [f"{who}: {why}" for who, why in figures.notes.items()]
    parts = [aligned(table(figures)), aligned(verdict_table(found)), *wrong, *notes]
    return "\n\n".join(("", *parts))
