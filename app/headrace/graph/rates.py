"""Rate limits: when one more execution may begin, and when one that must wait is to ask again.

The generic cell rate algorithm decides who begins: bursts of `count`, then evenly. Who is refused gets a time
of its own, an interval after the one before it, so that those who wait do not all ask again at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.graph.settings import Rate


@dataclass(frozen=True, slots=True)
class RateState:
    """What is known of a rate. free_at: when its whole allowance is there again. promised: the last time that
    was given to one who waits. Both may be past, or None for never. is_awaited: somebody waits now.
    """

    now: datetime
    free_at: datetime | None = None
    promised: datetime | None = None
    is_awaited: bool = False


@dataclass(frozen=True, slots=True)
class Begins:
    """It begins now. free_at: what to remember."""

    free_at: datetime


@dataclass(frozen=True, slots=True)
class Waits:
    """It asks again then: the time that is promised to it."""

    until: datetime


def interval_of(rate: Rate) -> timedelta:
    """The time between two executions when many wait."""
    return timedelta(seconds=rate.per / rate.count)


def ask(rate: Rate, state: RateState, is_new: bool) -> Begins | Waits:
    """Whether an execution begins now. is_new: it has never asked, and goes behind those who wait."""
    interval = interval_of(rate)
    free_at = max(state.free_at or state.now, state.now)
    opens_at = free_at + interval - timedelta(seconds=rate.per)
    if opens_at <= state.now and not (is_new and state.is_awaited):
        return Begins(free_at + interval)
    after_others = state.now if state.promised is None else state.promised + interval
    return Waits(max(opens_at, after_others, state.now))
