"""Back-off: how long, how often, and for which failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.outcome import Failed
from headrace.graph.retry import RetryPolicy, backoff, next_try

FAILURE = Failed("refused", kind="HttpError")
SECONDS = st.floats(0, 1e300)
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 20),
    strategy=st.sampled_from(["none", "fixed", "linear", "exponential"]),
    initial=SECONDS,
    multiplier=st.floats(1, 1e300),
    max=SECONDS,
    jitter=st.booleans(),
)


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(), [1, 2, 4, 8]),
        (RetryPolicy(multiplier=10, max=50), [1, 10, 50, 50]),
        (RetryPolicy(strategy="linear", initial=3), [3, 6, 9, 12]),
        (RetryPolicy(strategy="fixed", initial=2.5), [2.5, 2.5, 2.5, 2.5]),
        (RetryPolicy(strategy="none"), [0, 0, 0, 0]),
        (RetryPolicy(initial=0), [0, 0, 0, 0]),
    ],
)
def test_backoff(policy: RetryPolicy, delays: list[float]) -> None:
    assert [backoff(policy, attempt) for attempt in (1, 2, 3, 4)] == delays


def test_backoff_of_a_late_attempt_is_the_cap() -> None:
    assert backoff(RetryPolicy(), 10_000) == 3600.0
    assert backoff(RetryPolicy(multiplier=3, initial=0), 10_000) == 0.0


@given(POLICIES, st.integers(1, 10_000))
def test_backoff_never_falls_and_is_capped(policy: RetryPolicy, attempt: int) -> None:
    assert 0 <= backoff(policy, attempt) <= backoff(policy, attempt + 1) <= policy.max


@given(POLICIES, st.integers(1, 25), st.floats(0, 1, exclude_max=True))
def test_a_next_try_lies_within_the_backoff(policy: RetryPolicy, attempt: int, jitter: float) -> None:
    delay = next_try(policy, attempt, FAILURE, jitter)
    if attempt >= policy.max_attempts or policy.strategy == "none":
        assert delay is None
    else:
        assert delay is not None
        assert 0 <= delay <= backoff(policy, attempt)


def test_jitter_scales_the_whole_delay() -> None:
    assert next_try(RetryPolicy(), 2, FAILURE, 0.25) == 0.5
    assert next_try(RetryPolicy(jitter=False), 2, FAILURE, 0.25) == 2.0


def test_the_last_attempt_has_no_next() -> None:
    assert next_try(RetryPolicy(max_attempts=3), 2, FAILURE, 0.5) is not None
    assert next_try(RetryPolicy(max_attempts=3), 3, FAILURE, 0.5) is None
    assert next_try(RetryPolicy(max_attempts=1), 1, FAILURE, 0.5) is None


@pytest.mark.parametrize(
    ("policy", "failure", "again"),
    [
        (RetryPolicy(), Failed("x", retryable=False), False),
        (RetryPolicy(strategy="none"), FAILURE, False),
        (RetryPolicy(no_retry_on=frozenset({"HttpError"})), FAILURE, False),
        (RetryPolicy(no_retry_on=frozenset({"Other"})), FAILURE, True),
        (RetryPolicy(retry_on=frozenset({"HttpError"})), FAILURE, True),
        (RetryPolicy(retry_on=frozenset({"Other"})), FAILURE, False),
        (
            RetryPolicy(retry_on=frozenset({"HttpError"}), no_retry_on=frozenset({"HttpError"})),
            FAILURE,
            False,
        ),
        (RetryPolicy(retry_on=frozenset({"HttpError"})), Failed("x", "HttpError", retryable=False), False),
    ],
)
def test_which_failures_are_tried_again(policy: RetryPolicy, failure: Failed, again: bool) -> None:
    assert (next_try(policy, 1, failure, 0.5) is not None) is again
