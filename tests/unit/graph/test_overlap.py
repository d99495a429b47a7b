"""What becomes of slots while an earlier run goes on, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.overlap import Fate, Overlap, admit, due_at

SKIP, ONE, ALL, CANCEL, ALLOW = Overlap
START, WAIT, DROP = Fate.START, Fate.WAIT, Fate.SKIP


@pytest.mark.parametrize(
    ("policy", "is_busy", "fates"),
    [
        (SKIP, False, [START, DROP, DROP]),
        (SKIP, True, [DROP, DROP, DROP]),
        (ONE, False, [START, WAIT, DROP]),
        (ONE, True, [WAIT, DROP, DROP]),
        (ALL, False, [START, WAIT, WAIT]),
        (ALL, True, [WAIT, WAIT, WAIT]),
        (CANCEL, False, [DROP, DROP, START]),
        (CANCEL, True, [DROP, DROP, Fate.CANCEL]),
        (ALLOW, False, [START, START, START]),
        (ALLOW, True, [START, START, START]),
    ],
)
def test_three_slots_of_one_policy(policy: Overlap, is_busy: bool, fates: list[Fate]) -> None:
    assert admit([policy] * 3, is_busy) == fates


def test_a_slot_that_cancels_takes_the_place_of_those_before_it_only() -> None:
    assert admit([ALL, ALLOW, CANCEL, ALL], True) == [DROP, START, Fate.CANCEL, WAIT]
    assert admit([ALL, CANCEL, SKIP], False) == [DROP, START, DROP]


@given(st.lists(st.sampled_from(Overlap), max_size=12), st.booleans())
def test_whatever_waits(waiting: list[Overlap], is_busy: bool) -> None:
    fates = admit(waiting, is_busy)
    assert len(fates) == len(waiting)
    pairs = list(zip(waiting, fates, strict=True))
    alone = [one for one, fate in pairs if fate is START and one is not ALLOW]
    assert len(alone) <= (0 if is_busy else 1)
    assert all(fate is START for one, fate in pairs if one is ALLOW)
    assert sum(one is ONE and fate is WAIT for one, fate in pairs) <= 1
    assert not any(one is SKIP and fate is WAIT for one, fate in pairs)
    assert sum(fate is Fate.CANCEL for fate in fates) <= 1
    if waiting and not is_busy:
        assert START in fates


@given(
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year < 9000),
    st.floats(0, 86_400),
)
def test_jitter_is_the_same_for_a_slot_and_within_its_limit(
    schedule_id: UUID, slot: datetime, jitter: float
) -> None:
    due = due_at(schedule_id, slot, jitter)
    assert due == due_at(schedule_id, slot, jitter)
    assert slot <= due <= slot + timedelta(seconds=jitter)


def test_jitter_spreads() -> None:
    slot = datetime(2026, 1, 1, tzinfo=UTC)
    waits = [(due_at(uuid4(), slot, 60) - slot).total_seconds() for _ in range(2_000)]
    assert [round(sum(wait // 15 == quarter for wait in waits) / 500) for quarter in range(4)] == [1, 1, 1, 1]
