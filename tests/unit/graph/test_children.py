from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.children import Batch


@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(0, 5),
    st.floats(0, 0.5),
    st.randoms(use_true_random=False),
)
def test_never_too_many_at_once_and_all_come_to_an_end(
    total: int, at_once: int, tolerated: int, share: float, rng: random.Random
) -> None:
    batch, running = Batch(total, at_once, tolerated), 0
    while not batch.is_over:
        count = batch.to_start()
        batch, running = batch.begun(count), running + count
        assert 0 < running <= at_once
        ended = rng.randint(1, running)
        failed = sum(rng.random() < share for _ in range(ended))
        batch, running = batch.reported(ended, failed), running - ended
        if batch.is_spoilt:
            batch = batch.dropped()
            batch, running = batch.reported(running, running), 0
    assert batch.started == batch.ended == batch.total
    assert batch.to_start() == 0


@pytest.mark.parametrize(
    ("batch", "count"),
    [
        (Batch(10, 3, 0), 3),
        (Batch(2, 3, 0), 2),
        (Batch(10, 3, 0, started=3, ended=1), 1),
        (Batch(10, 3, 1, started=3, ended=1, failed=1), 1),
        (Batch(10, 3, 0, started=3, ended=1, failed=1), 0),
        (Batch(10, 3, 0, started=9, ended=9), 1),
        (Batch(10, 3, 0, started=10, ended=8), 0),
    ],
)
def test_how_many_may_start(batch: Batch, count: int) -> None:
    assert batch.to_start() == count


def test_those_cancelled_before_their_turn_have_started_and_failed_at_once() -> None:
    batch = Batch(5, 3, 9).begun(3, gone=2)
    assert (batch.started, batch.ended, batch.failed, batch.to_start()) == (3, 2, 2, 2)
