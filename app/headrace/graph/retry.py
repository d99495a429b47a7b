"""When a failed attempt is tried again. Delays are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headrace.graph.outcome import Failed

Strategy: TypeAlias = Literal["none", "fixed", "linear", "exponential"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon.

    max_attempts counts the first one. initial and max: seconds. multiplier: of the exponential strategy.
    jitter: draw each delay evenly between 0 and the computed one, so that failures at once do not come back
    at once. retry_on: if not empty, only failures of these kinds. no_retry_on: never these, it wins.
    """

    max_attempts: int = 3
    strategy: Strategy = "exponential"
    initial: float = 1.0
    multiplier: float = 2.0
    max: float = 3600.0
    jitter: bool = True
    retry_on: frozenset[str] = frozenset()
    no_retry_on: frozenset[str] = frozenset()


def backoff(policy: RetryPolicy, attempt: int) -> float:
    """Seconds after the failed attempt (1 is the first), before jitter."""
    return min(policy.initial * _growth(policy, attempt), policy.max) if policy.initial > 0 else 0.0


def _growth(policy: RetryPolicy, attempt: int) -> float:
    if policy.strategy == "exponential":
        return _power(policy.multiplier, attempt - 1)
    return {"none": 0.0, "fixed": 1.0, "linear": float(attempt)}[policy.strategy]


def _power(base: float, exponent: int) -> float:
    try:
        return float(base) ** exponent
    except OverflowError:
        return math.inf


def next_try(policy: RetryPolicy, attempt: int, failure: Failed, jitter: float) -> float | None:
    """Seconds until the next attempt, or None if there is none. Never sooner than the failure allows.

    attempt: the one that failed, 1 is the first. jitter: a random number from [0, 1), drawn by the caller.
    """
    if attempt >= policy.max_attempts or not _worth_retrying(policy, failure):
        return None
    delay = backoff(policy, attempt) * (jitter if policy.jitter else 1.0)
    return max(delay, failure.retry_after or 0.0)


def _worth_retrying(policy: RetryPolicy, failure: Failed) -> bool:
    if policy.strategy == "none" or not failure.retryable or failure.kind in policy.no_retry_on:
        return False
    return not policy.retry_on or failure.asks_again or failure.kind in policy.retry_on
