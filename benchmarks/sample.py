"""Measured figures, by name, and what is made of them. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

OURS = "Headrace"
"""With nodes that do nothing, as its workflows have them between others."""

OUR_FUNCTIONS = "Headrace, functions"
"""With nodes that run a user's function, which does nothing."""


@dataclass(frozen=True)
class Sample:
    """One measurement of one shape. hops: milliseconds, of chains only. wrong: why it does not count."""

    who: str
    shape: str
    nodes: int
    seconds: float
    hops: tuple[float, ...] = ()
    wrong: str = ""


@dataclass(frozen=True)
class Floor:
    """What a server does at best for so many clients at once. by: the program that measured.

    mean_ms: of one round trip. rate: requests or transactions a second of all clients together.
    """

    by: str
    what: str
    clients: int
    mean_ms: float
    rate: float

    @property
    def title(self) -> str:
        return f"{self.what}, {self.clients} client{'s' if self.clients > 1 else ''} ({self.by})"


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank); nan of none."""
    ranked = sorted(values)
    if not ranked:
        return math.nan
    return ranked[min(len(ranked), max(1, math.ceil(share * len(ranked)))) - 1]


@dataclass
class Figures:
    """Everything measured: a list of values, one for each round, under (what, who)."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    floors: list[Floor] = field(default_factory=list)

    def add(self, what: str, who: str, value: float) -> None:
        self.values.setdefault((what, who), []).append(value)

    def take(self, sample: Sample) -> None:
        """Adds a sample's figures; a wrong one leaves only its reason, and spoils the other rounds."""
        if sample.wrong:
            self.wrong[sample.shape, sample.who] = sample.wrong
            return
        self.add(f"{sample.shape} seconds", sample.who, sample.seconds)
        self.add(f"{sample.shape} nodes/s", sample.who, sample.nodes / sample.seconds)
        if sample.hops:
            self.add(f"{sample.shape} hop p50 ms", sample.who, quantile(sample.hops, 0.5))
            self.add(f"{sample.shape} hop p95 ms", sample.who, quantile(sample.hops, 0.95))

    def note(self, who: str, why: str) -> None:
        """Why there is nothing, or not everything, from somebody."""
        self.notes.setdefault(who, why)

    def median(self, what: str, who: str = OURS) -> float | None:
        """None when it was not measured, or was wrong in any round."""
        shape = what.split(" ", 1)[0]
        if (shape, who) in self.wrong or not self.values.get((what, who)):
            return None
        return statistics.median(self.values[what, who])

    def people(self) -> list[str]:
        """All who were measured or have failed, in the order of their first figure."""
        return list(dict.fromkeys(who for _, who in (*self.values, *self.wrong)))

    def as_json(self) -> dict[str, object]:
        return {
            "values": _nested(self.values),
            "medians": _nested({key: self.median(*key) for key in self.values}),
            "wrong": _nested(self.wrong),
            "notes": self.notes,
            "floors": [{key: _rounded(value) for key, value in asdict(one).items()} for one in self.floors],
        }


def _nested(flat: Mapping[tuple[str, str], object]) -> dict[str, dict[str, object]]:
    nested: dict[str, dict[str, object]] = {}
    for (what, who), value in flat.items():
        nested.setdefault(what, {})[who] = _rounded(value)
    return nested


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return (
        [_rounded(one) for one in value]
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )
