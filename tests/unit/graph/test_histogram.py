"""Histograms of durations: what they lose, and that they add up."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.histogram import BUCKETS, ERROR, LONGEST, SHORTEST, Histogram, bucket_of

durations = st.floats(0, 10 * LONGEST)
in_range = st.floats(SHORTEST, LONGEST)
histograms = st.lists(durations, max_size=20).map(Histogram.of)


def true_quantile(values: list[float], share: float) -> float:
    return sorted(values)[max(1, ceil(share * len(values))) - 1]


@given(st.lists(in_range, min_size=1, max_size=200), st.floats(0, 1))
def test_every_quantile_is_right_within_the_error(values: list[float], share: float) -> None:
    found = Histogram.of(values).quantile(share)
    assert found == pytest.approx(true_quantile(values, share), rel=ERROR + 1e-9)


@given(histograms, histograms, histograms)
def test_merging_is_associative_and_commutative(a: Histogram, b: Histogram, c: Histogram) -> None:
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(b) == b.merged(a)
    assert a.merged(Histogram()) == a


@given(st.lists(durations), st.lists(durations))
def test_merged_is_as_if_counted_by_one(one: list[float], other: list[float]) -> None:
    assert Histogram.of(one).merged(Histogram.of(other)) == Histogram.of(one + other)


@given(durations, durations)
def test_a_longer_duration_is_in_no_earlier_bucket(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert 0 <= bucket_of(shorter) <= bucket_of(longer) < BUCKETS


def test_average_is_exact_and_nothing_has_none() -> None:
    assert Histogram.of([0.1, 0.2, 0.6]).average == pytest.approx(0.3, abs=1e-9)
    assert Histogram().average is None
    assert Histogram().quantile(0.5) is None


def test_what_is_shorter_than_all_buckets_counts_as_the_shortest() -> None:
    assert Histogram.of([0.0, 1e-9]).quantile(1) == SHORTEST


def test_a_histogram_takes_little_room() -> None:
    assert BUCKETS == 255  # docs/reference/statistics.md says so
