"""What attempts took and how they ended, counted by the name of what was run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce
from typing import Final, NamedTuple

from headrace.graph.histogram import Histogram
from headrace.graph.json_types import JsonObject

DIED: Final = frozenset({"ProcessDied", "MemoryError"})
"""The kinds of failure of attempts whose own process ended before it answered, or needed too much memory."""


class End(Enum):
    """How one stretch of a node's code ended. PARKED: it waits, and its attempt goes on later."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRY = "retry"
    PARKED = "parked"


class Key(NamedTuple):
    """Whose figures: of a project, a node type or an activity."""

    project: str
    name: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of a node's code. seconds: it ran; waited: seconds from queued to started."""

    seconds: float
    waited: float
    end: End
    died: bool = False


@dataclass(slots=True)
class Tally:
    """Attempts, counted.

    success, failure: attempts by their end; retries: of the failures, those that were followed by another
    attempt. died: of the failures, those whose own process died. busy: microseconds that code ran, also in
    attempts that then waited. execution: of the stretches that ended an attempt; wait: in the queue, of all.
    """

    success: int = 0
    failure: int = 0
    retries: int = 0
    died: int = 0
    busy: int = 0
    execution: Histogram = field(default_factory=Histogram)
    wait: Histogram = field(default_factory=Histogram)

    @property
    def count(self) -> int:
        """Attempts that ended."""
        return self.success + self.failure

    def add(self, stretch: Stretch) -> None:
        """Counts one stretch."""
        self.busy += round(stretch.seconds * 1_000_000)
        self.wait.add(stretch.waited)
        if stretch.end is End.PARKED:
            return
        self.execution.add(stretch.seconds)
        self.success += stretch.end is End.SUCCESS
        self.failure += stretch.end is not End.SUCCESS
        self.retries += stretch.end is End.RETRY
        self.died += stretch.died

    def merged(self, other: Tally) -> Tally:
        """Both together; in which order many are merged makes no difference."""
        return Tally(
            success=self.success + other.success,
            failure=self.failure + other.failure,
            retries=self.retries + other.retries,
            died=self.died + other.died,
            busy=self.busy + other.busy,
            execution=self.execution.merged(other.execution),
            wait=self.wait.merged(other.wait),
        )


def all_together(tallies: Iterable[Tally]) -> Tally:
    return reduce(Tally.merged, tallies, Tally())


def counted_name(node_type: str, config: JsonObject) -> str:
    """Under which name a node counts: an `activity` node under that of its activity."""
    activity = config.get("activity")
    return activity if node_type == "activity" and isinstance(activity, str) else node_type


BUSY_SHARE: Final = 0.5
BUSY_SECONDS: Final = 60.0
SLOW_FACTOR: Final = 10.0
SLOW_SECONDS: Final = 1.0
ENOUGH: Final = 100
DIED_SHARE: Final = 0.01


def reasons_for_own_workers(name: str, tallies: Mapping[str, Tally]) -> tuple[str, ...]:
    """Why what has this name should get workers of its own; () when nothing speaks for it.

    tallies: of one project, by name. `busy`: it takes at least half of all the time that code runs, and the
    whole is over a minute. `slow`: its p95 is over a second and ten times that of all others together.
    `dies`: at least one attempt in a hundred ends with the death of its process. Few attempts prove nothing:
    `slow` needs a hundred on both sides.
    """
    own = tallies[name]
    others = all_together(tally for other, tally in tallies.items() if other != name)
    judged = {
        "busy": _is_busy(own, others),
        "slow": _is_slow(own, others),
        "dies": own.died > 0 and own.died >= DIED_SHARE * own.count,
    }
    return tuple(reason for reason, holds in judged.items() if holds)


def _is_busy(own: Tally, others: Tally) -> bool:
    total = own.busy + others.busy
    return others.count > 0 and total >= BUSY_SECONDS * 1_000_000 and own.busy >= BUSY_SHARE * total


def _is_slow(own: Tally, others: Tally) -> bool:
    if min(own.count, others.count) < ENOUGH:
        return False
    mine, theirs = own.execution.quantile(0.95) or 0.0, others.execution.quantile(0.95) or 0.0
    return mine >= SLOW_SECONDS and mine >= SLOW_FACTOR * theirs
