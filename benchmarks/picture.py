"""The results as an SVG: bars for the shapes, lines for growth. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.growth import KINDS, SIZES
from benchmarks.peers.catalogue import RQ_SIMPLE
from benchmarks.sample import OUR_FUNCTIONS, OURS, Figures
from benchmarks.shapes import NOOP

WIDTH = 920
_PANEL, _GAP, _LINE, _LABEL = 440, 40, 24, 130
_OURS_COLOUR, _OTHER_COLOUR, _INK, _FAINT = "#2563eb", "#94a3b8", "#1e293b", "#e2e8f0"
_LINE_COLOURS = ("#2563eb", "#0d9488", "#d97706")

PANELS = (
    ("S4 nodes/s", "S4: 300 diamonds drained, nodes/s (more is better)", ",.0f"),
    ("S1 hop p50 ms", "S1: chain of 50, p50 ms from start to start (less is better)", ".2f"),
    ("S2 seconds", "S2: 1 to 100 to 1, seconds (less is better)", ".3f"),
    ("S3 seconds", "S3: 10 layers of 10, seconds (less is better)", ".3f"),
)


def picture(figures: Figures) -> str:
    """The whole drawing, on white, so that it reads on any page."""
    tall = 60 + _LINE * max(len(_bars(figures, key)) for key, _, _ in PANELS)
    parts = [
        f'<g transform="translate({_GAP // 2 + place % 2 * _PANEL} {place // 2 * tall})">'
        f"{_panel(figures, key, title, form)}</g>"
        for place, (key, title, form) in enumerate(PANELS)
    ]
    height = 2 * tall
    lines = _growth(figures)
    if lines:
        parts.append(f'<g transform="translate({_GAP // 2} {height})">{lines}</g>')
        height += 250
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
        f'<title>Headrace beside its peers</title><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _bars(figures: Figures, key: str) -> list[tuple[str, float]]:
    people = [(who, figures.median(key, who)) for who in figures.people()]
    if key == "S4 nodes/s":
        people.append(("bare RQ's jobs", figures.median(f"{NOOP} nodes/s", RQ_SIMPLE)))
    return [(who, value) for who, value in people if value is not None]


def _panel(figures: Figures, key: str, title: str, form: str) -> str:
    bars = _bars(figures, key)
    longest = max((value for _, value in bars), default=1)
    room = _PANEL - _GAP - _LABEL - 60
    rows = [_text(0, 34, title, weight="600")]
    for place, (who, value) in enumerate(bars):
        y, length = 46 + place * _LINE, max(1.0, room * value / longest)
        colour = _OURS_COLOUR if who in (OURS, OUR_FUNCTIONS) else _OTHER_COLOUR
        rows.append(_text(_LABEL - 8, y + 13, who, anchor="end"))
        rows.append(f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="17" rx="2" fill="{colour}"/>')
        rows.append(_text(_LABEL + length + 6, y + 13, format(value, form)))
    return "".join(rows)


def _growth(figures: Figures) -> str:
    """Microseconds a node over the size of the graph, both logarithmic: flat is good."""
    series = [(kind, _points(figures, kind)) for kind in KINDS]
    costs = [cost for _, points in series for _, cost in points]
    if not costs:
        return ""
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    parts = [_text(0, 34, "Growth: microseconds a node by the graph's size (flat is good)", weight="600")]
    for power in range(low, high + 1):
        y = _y(10.0**power, low, high)
        parts.append(f'<line x1="{_LABEL}" x2="{WIDTH - 120}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_FAINT}"/>')
        parts.append(_text(_LABEL - 8, y + 4, f"{10**power:,}", anchor="end"))
    parts += [_text(_x(size), 228, f"{size:,}", anchor="middle") for size in SIZES]
    for (kind, points), colour in zip(series, _LINE_COLOURS, strict=True):
        parts.append(_curve(kind, points, colour, (low, high)))
    return "".join(parts)


def _points(figures: Figures, kind: str) -> list[tuple[int, float]]:
    rates = [(size, figures.median(f"growth {kind} {size} nodes/s")) for size in SIZES]
    return [(size, 1e6 / rate) for size, rate in rates if rate]


def _curve(kind: str, points: Sequence[tuple[int, float]], colour: str, span: tuple[int, int]) -> str:
    if not points:
        return ""
    places = [(_x(size), _y(cost, *span)) for size, cost in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    # Names of curves that end at one place stand below each other.
    drop = {"random": -3, "fan": 11}.get(kind, 4)
    name = _text(places[-1][0] + 10, places[-1][1] + drop, kind, colour=colour)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}{name}'


def _x(size: int) -> float:
    share = math.log10(size / SIZES[0]) / math.log10(SIZES[-1] / SIZES[0])
    return _LABEL + 20 + share * (WIDTH - _LABEL - 180)


def _y(cost: float, low: int, high: int) -> float:
    return 210 - 160 * (math.log10(cost) - low) / max(1, high - low)


def _text(
    x: float, y: float, text: str, anchor: str = "start", weight: str = "400", colour: str = _INK
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
