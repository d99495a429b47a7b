"""What `Fail` and `Retry` mean, whatever the code puts into them."""

from __future__ import annotations

import math

import pytest

from headrace import Fail, Retry
from headrace.activities.declaration import LONGEST_WAIT, failure_said
from headrace.graph.outcome import Failed


def test_fail_is_final() -> None:
    said = failure_said(Fail("no", kind="Declined", details={"code": 51}))
    assert said == Failed("no", "Declined", retryable=False, details={"code": 51})


@pytest.mark.parametrize(
    ("after", "wait"),
    [
        (None, None),
        (30, 30.0),
        (0.5, 0.5),
        (0, None),
        (-5, None),
        (math.nan, None),
        ("soon", None),
        (1e300, LONGEST_WAIT),
        (10**400, LONGEST_WAIT),
        (math.inf, LONGEST_WAIT),
    ],
)
def test_a_wait_is_one_that_can_be_kept(after: float | None, wait: float | None) -> None:
    said = failure_said(Retry("busy", after=after))
    assert said == Failed("busy", "Retry", retryable=True, retry_after=wait, asks_again=True)
