"""Rates: never more than a burst and then evenly, and nobody asks more than twice while all ask in time."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.rates import Begins, RateState, Waits, ask, interval_of
from headrace.graph.settings import Rate

NOW = datetime(2026, 11, 21, tzinfo=UTC)
rates = st.builds(lambda count, per: Rate(count=count, per=per), st.integers(1, 9), st.floats(0.5, 100))
arrivals = st.lists(st.floats(0, 60), min_size=1, max_size=60)


def simulated(rate: Rate, arriving: list[float]) -> tuple[list[datetime], list[int]]:
    """When each begins that arrives after so many seconds, and how often each asks."""
    line = [(NOW + timedelta(seconds=after), number, True) for number, after in enumerate(arriving)]
    heapq.heapify(line)
    begun: list[datetime] = []
    asked = [0] * len(arriving)
    free_at = promised = None
    while line:
        now, number, is_new = heapq.heappop(line)
        asked[number] += 1
        is_awaited = any(not other_is_new for _, _, other_is_new in line)
        match ask(rate, RateState(now, free_at, promised, is_awaited), is_new):
            case Begins(free):
                free_at = free
                begun.append(now)
            case Waits(until):
                assert until >= now
                promised = until
                heapq.heappush(line, (until, number, False))
    return begun, asked


@given(rates, arrivals)
def test_nobody_asks_more_than_twice(rate: Rate, arriving: list[float]) -> None:
    begun, asked = simulated(rate, arriving)
    assert len(begun) == len(arriving)
    assert max(asked) <= 2


@given(rates, arrivals)
def test_so_many_begin_in_any_time_as_the_rate_says(rate: Rate, arriving: list[float]) -> None:
    begun, _ = simulated(rate, arriving)
    interval = interval_of(rate)
    for first, start in enumerate(begun):
        for last in range(first, len(begun)):
            allowed = rate.count + (begun[last] - start) / interval
            assert last - first + 1 <= allowed + 0.001


def test_a_rate_that_is_free_lets_a_burst_go_and_spreads_the_rest() -> None:
    begun, asked = simulated(Rate(count=2, per=10), [0] * 5)
    assert [(at - NOW).total_seconds() for at in begun] == [0, 0, 5, 10, 15]
    assert asked == [1, 1, 2, 2, 2]


def test_promises_that_nobody_waits_for_stop_no_newcomer() -> None:
    late = RateState(NOW, promised=NOW + timedelta(hours=1))
    assert ask(Rate(count=1, per=1), late, is_new=True) == Begins(NOW + timedelta(seconds=1))
