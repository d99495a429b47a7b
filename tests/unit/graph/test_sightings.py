"""When a declaration that no worker repeats stops to count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace.graph.sightings import COUNTS_FOR, KEPT_FOR, still_counts

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (timedelta(seconds=-1), True),  # clocks of a statement and of a row may differ
        (timedelta(), True),
        (COUNTS_FOR, True),
        (COUNTS_FOR + timedelta(microseconds=1), False),
        (KEPT_FOR, False),
    ],
)
def test_it_counts_for_a_day(ago: timedelta, counts: bool) -> None:
    assert still_counts(NOW - ago, NOW) is counts
