"""Where a supervisor's workers run, and which of these places are too many or too few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.local.child import Child

_QUICK_SECONDS = 5.0
_LONGEST_DELAY_SECONDS = 30.0


@dataclass(frozen=True)
class Wish:
    """How many workers a project wants. generation: workers of another one are to be replaced."""

    count: int
    generation: int = 0


_NOBODY = Wish(0)


def restart_delay(quick_deaths: int) -> float:
    """Seconds to wait before the next start, after so many deaths in a row soon after their start."""
    if quick_deaths <= 1:
        return 0.0
    # The exponent is bounded, or a loop of a day would overflow.
    return min(_LONGEST_DELAY_SECONDS, 0.5 * (1 << min(quick_deaths - 2, 10)))


@dataclass
class RunningWorker:
    """A worker process. started: when, by the monotonic clock."""

    worker_id: str
    child: Child
    started: float


@dataclass(eq=False)
class Place:
    """Where one worker after the other runs."""

    project: str
    generation: int = 0
    worker: RunningWorker | None = None
    quick_deaths: int = 0
    start_at: float = 0.0

    def age_order(self) -> float:
        """Rises from the oldest worker to the newest, and to a place that waits for its next one."""
        return self.worker.started if self.worker else math.inf

    def has_died(self, now: float) -> None:
        lived = now - self.worker.started if self.worker else 0.0
        self.worker = None
        self.quick_deaths = self.quick_deaths + 1 if lived < _QUICK_SECONDS else 0
        self.start_at = now + restart_delay(self.quick_deaths)


def superfluous(places: Sequence[Place], wishes: Mapping[str, Wish]) -> list[Place]:
    """Places to give up: those of another generation, and the newest where a project has too many."""
    kept: list[Place] = []
    for project, wish in wishes.items():
        own = [one for one in places if (one.project, one.generation) == (project, wish.generation)]
        kept += sorted(own, key=Place.age_order)[: max(0, wish.count)]
    return [one for one in places if one not in kept]


def missing(places: Sequence[Place], wishes: Mapping[str, Wish]) -> list[Place]:
    """New places for what the projects still want."""
    found: list[Place] = []
    for project, wish in wishes.items():
        own = sum((one.project, one.generation) == (project, wish.generation) for one in places)
        found += [Place(project, wish.generation) for _ in range(wish.count - own)]
    return found
