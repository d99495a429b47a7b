"""Whose workers a supervisor runs in tests: it wants what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headrace.local.places import Wish
from headrace.local.supervisor import WorkerDeath, WorkerStart


def _ignore(_news: object) -> None:
    """Nobody listens."""


@dataclass
class ProjectOwner:
    """count: of workers that the default project wants at first."""

    count: int = 0
    on_death: Callable[[WorkerDeath], None] = _ignore
    on_start: Callable[[WorkerStart], None] = _ignore
    wishes: dict[str, Wish] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wants(self.count)

    def wants(self, count: int, project: str = "default", generation: int = 0) -> None:
        self.wishes = {**self.wishes, project: Wish(count, generation)}

    def forgets(self, project: str) -> None:
        self.wishes = {name: wish for name, wish in self.wishes.items() if name != project}

    def wanted(self) -> Mapping[str, Wish]:
        return self.wishes

    def greet(self, start: WorkerStart) -> None:
        self.on_start(start)

    def bury(self, death: WorkerDeath) -> None:
        self.on_death(death)
