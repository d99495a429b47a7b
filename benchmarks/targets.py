"""The targets, each a ratio within one run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.catalogue import BULLMQ, CELERY, DRAMATIQ, RQ_SIMPLE
from benchmarks.sample import OUR_FUNCTIONS, OURS, Figures


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured. value: None when something for it is missing or wrong."""

    text: str
    value: float | None
    limit: float
    at_least: bool
    unit: str = "x"

    @property
    def word(self) -> str:
        """`held`, `short`, or `not measured`."""
        if self.value is None:
            return "not measured"
        held = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "held" if held else "short"

    @property
    def wanted(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g} {self.unit}"

    @property
    def measured(self) -> str:
        return "-" if self.value is None else f"{self.value:.3g} {self.unit}"


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under


def verdicts(figures: Figures) -> list[Verdict]:
    """All targets, in the order of the plan; those of the shapes for both kinds of our nodes."""
    shapes = [
        one for who in (OURS, OUR_FUNCTIONS) for one in (*_drain(figures, who), *_latency(figures, who))
    ]
    calls = Verdict("S5, 2 processes", figures.median("S5 seconds"), 0.4, at_least=False, unit="s")
    return [*shapes, calls, *_starts(figures), *_growth(figures), *_memory(figures)]


def _drain(figures: Figures, ours: str) -> list[Verdict]:
    rate = figures.median("S4 nodes/s", ours)
    rivals = (
        (RQ_SIMPLE, "S0 nodes/s", 12.0, "'s no-op jobs/s"),
        (CELERY, "S4 nodes/s", 10.0, ""),
        (DRAMATIQ, "S4 nodes/s", 4.0, ""),
        (BULLMQ, "S4 nodes/s", 1.5, ""),
    )
    return [
        Verdict(
            f"{_of(ours)}S4 nodes/s over {who}{what}", _ratio(rate, figures.median(key, who)), limit, True
        )
        for who, key, limit, what in rivals
    ]


def _of(ours: str) -> str:
    return "functions: " if ours == OUR_FUNCTIONS else ""


def _latency(figures: Figures, ours: str) -> list[Verdict]:
    rivals = (
        ("S1 hop p50 ms", CELERY, 0.4, "S1 hop p50 over Celery's chain"),
        ("S1 hop p50 ms", BULLMQ, 1.5, "S1 hop p50 over BullMQ's"),
        ("S2 seconds", CELERY, 0.25, "S2 over Celery's chord"),
        ("S3 seconds", CELERY, 0.2, "S3 over Celery's"),
    )
    return [
        Verdict(
            _of(ours) + text,
            _ratio(figures.median(key, ours), figures.median(key, who)),
            limit,
            at_least=False,
        )
        for key, who, limit, text in rivals
    ]


def _starts(figures: Figures) -> list[Verdict]:
    commit = figures.median("floor commit p50 ms", "PostgreSQL")
    one = _ratio(figures.median("starts one client p50 ms"), commit)
    return [
        Verdict("starts through HTTP, 16 clients", figures.median("starts 16 clients/s"), 300, True, "/s"),
        Verdict("one client's start p50 over a one-row commit", one, 15, at_least=False),
    ]


def _growth(figures: Figures) -> list[Verdict]:
    kinds = ("chain", "fan", "random")
    functions = [
        Verdict(
            f"{_of(OUR_FUNCTIONS)}{kind} of 10,000: time a node over 100's",
            _ratio(
                *(figures.median(f"growth {kind} {size} nodes/s", OUR_FUNCTIONS) for size in (100, 10_000))
            ),
            1.5,
            at_least=False,
        )
        for kind in kinds
    ]
    return [*(one for kind in kinds for one in _growth_of(kind, figures)), *functions]


def _growth_of(kind: str, figures: Figures) -> list[Verdict]:
    """Times and buffers a node: large over small, beside old tasks over alone."""

    def slower(big: str, small: str) -> float | None:
        return _ratio(figures.median(f"{small} nodes/s"), figures.median(f"{big} nodes/s"))

    def more(big: str, small: str) -> float | None:
        return _ratio(figures.median(f"{big} buffers"), figures.median(f"{small} buffers"))

    large, small = f"growth {kind} 10000", f"growth {kind} 100"
    accepted = figures.median(f"growth {kind} accepted s")
    found = [
        Verdict(f"{kind} of 10,000: time a node over 100's", slower(large, small), 1.5, False),
        Verdict(
            f"{kind} of 10,000: buffers a node over 100's",
            more(f"empty {kind} 10000", f"empty {kind} 100"),
            1.2,
            False,
        ),
        Verdict(f"{kind} of 10,000 accepted in", accepted, 2, False, "s"),
    ]
    for size in (100, 10_000):
        full, empty, title = f"full {kind} {size}", f"empty {kind} {size}", f"{kind} of {size:,}"
        found += [
            Verdict(f"{title}, 1,000,000 old tasks: time a node over none", slower(full, empty), 1.5, False),
            Verdict(f"{title}, 1,000,000 old tasks: buffers over none", more(full, empty), 1.2, False),
        ]
    return found


def _memory(figures: Figures) -> list[Verdict]:
    redis = _ratio(
        figures.median("memory Redis after MB", "Redis"), figures.median("memory Redis idle MB", "Redis")
    )
    return [
        Verdict("a worker process idle", figures.median("memory idle MB"), 90, at_least=False, unit="MB"),
        Verdict("a worker process through S4", figures.median("memory after S4 MB"), 200, False, "MB"),
        Verdict("Redis after the results' time to live over idle", redis, 1.1, at_least=False),
    ]
