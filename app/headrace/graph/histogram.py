"""Durations counted in fixed buckets: every quantile is right to 5 %, and two countings add up.

The buckets grow by the same factor from 10 microseconds to eleven days, as in DDSketch. So a histogram is a
few hundred whole numbers, whatever it has counted, and those of many processes are added without a loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from math import ceil, log
from typing import Final

ERROR: Final = 0.05
"""How far a quantile may be off, as a share of the true one."""

SHORTEST: Final = 1e-5
LONGEST: Final = 1e6
"""Seconds between which the error holds; what is shorter or longer counts as these."""

_GROWTH: Final = (1 + ERROR) / (1 - ERROR)
_PER_BUCKET: Final = 1 / log(_GROWTH)
BUCKETS: Final = 1 + ceil(log(LONGEST / SHORTEST) * _PER_BUCKET)

_MICRO: Final = 1_000_000


def bucket_of(seconds: float) -> int:
    """The bucket that counts a duration; the first one holds everything up to SHORTEST."""
    if seconds <= SHORTEST:
        return 0
    return min(ceil(log(seconds / SHORTEST) * _PER_BUCKET), BUCKETS - 1)


@dataclass(slots=True)
class Histogram:
    """counts: one a bucket, without the empty ones at the end. microseconds: all durations together."""

    counts: list[int] = field(default_factory=list)
    microseconds: int = 0

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Histogram:
        made = cls()
        for one in seconds:
            made.add(one)
        return made

    def add(self, seconds: float) -> None:
        """Counts one duration."""
        bucket = bucket_of(seconds)
        missing = bucket + 1 - len(self.counts)
        if missing > 0:
            self.counts.extend([0] * missing)
        self.counts[bucket] += 1
        self.microseconds += round(seconds * _MICRO)

    def merged(self, other: Histogram) -> Histogram:
        """Both together; in which order many are merged makes no difference."""
        counts = [a + b for a, b in zip_longest(self.counts, other.counts, fillvalue=0)]
        return Histogram(counts, self.microseconds + other.microseconds)

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def average(self) -> float | None:
        """Seconds, exact; None when nothing was counted."""
        number = self.count
        return self.microseconds / number / _MICRO if number else None

    def quantile(self, share: float) -> float | None:
        """Seconds that this share (0 to 1) of the durations does not exceed; None when none was counted."""
        number = self.count
        if not number:
            return None
        rank = max(1, ceil(share * number))
        bucket = next(place for place, seen in enumerate(accumulate(self.counts)) if seen >= rank)
        return SHORTEST * (_GROWTH**bucket * (1 - ERROR) if bucket else 1)
