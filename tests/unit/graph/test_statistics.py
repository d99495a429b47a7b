"""Tallies of attempts, and who should get workers of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.statistics import (
    End,
    Stretch,
    Tally,
    all_together,
    counted_name,
    reasons_for_own_workers,
)

stretches = st.builds(
    Stretch,
    seconds=st.floats(0, 1e5),
    waited=st.floats(0, 1e5),
    end=st.sampled_from(End),
    died=st.just(False),
)


def tally(*given: Stretch) -> Tally:
    made = Tally()
    for one in given:
        made.add(one)
    return made


def times(number: int, seconds: float, end: End = End.SUCCESS, died: int = 0) -> Tally:
    return tally(*(Stretch(seconds, 0.0, end, died=place < died) for place in range(number)))


@given(st.lists(stretches), st.lists(stretches))
def test_merged_is_as_if_counted_by_one(one: list[Stretch], other: list[Stretch]) -> None:
    assert tally(*one).merged(tally(*other)) == tally(*one, *other)


@given(st.lists(stretches))
def test_ends_add_up(given: list[Stretch]) -> None:
    made = tally(*given)
    ends = [one.end for one in given]
    assert made.count == made.success + made.failure == len(given) - ends.count(End.PARKED)
    assert made.retries == ends.count(End.RETRY) <= made.failure
    assert made.execution.count == made.count
    assert made.wait.count == len(given)


def test_time_before_a_wait_is_busy_but_no_execution() -> None:
    made = tally(Stretch(2.0, 0.5, End.PARKED), Stretch(0.5, 0.1, End.SUCCESS))
    assert made.busy == 2_500_000
    assert made.execution.average == 0.5
    assert made.wait.average == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("node_type", "config", "name"),
    [
        ("delay", {"activity": "no"}, "delay"),
        ("activity", {"activity": "sendEmail"}, "sendEmail"),
        ("activity", {}, "activity"),
    ],
)
def test_an_activity_node_counts_under_its_activity(
    node_type: str, config: dict[str, str], name: str
) -> None:
    assert counted_name(node_type, dict(config)) == name


@pytest.mark.parametrize(
    ("own", "others", "reasons"),
    [
        (Tally(), Tally(), ()),
        (times(10, 10.0), times(10, 1.0), ("busy",)),
        (times(10, 10.0), Tally(), ()),  # alone, it has its workers for itself
        (times(10, 1.0), times(10, 0.1), ()),  # a minute is not full
        (times(100, 2.0), times(100, 0.1), ("busy", "slow")),
        (times(99, 2.0), times(2_000, 0.15), ()),
        (times(100, 2.0), times(2_000, 0.15), ("slow",)),
        (times(100, 0.5), times(3_000, 0.02), ()),  # under a second is not slow
        (times(100, 0.1, End.FAILURE, died=1), times(5, 0.1), ("dies",)),
        (times(101, 0.1, End.FAILURE, died=1), times(5, 0.1), ()),
    ],
)
def test_candidates(own: Tally, others: Tally, reasons: tuple[str, ...]) -> None:
    assert reasons_for_own_workers("own", {"own": own, "others": others}) == reasons


@given(st.lists(st.lists(stretches, max_size=5), max_size=5))
def test_all_together(groups: list[list[Stretch]]) -> None:
    assert all_together(tally(*one) for one in groups) == tally(*(one for group in groups for one in group))
