"""Which queues a worker empties, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Rota:
    """The queues of one project, or of several that take turns.

    A project's queues are given in the order in which they are emptied, each project's as many. While one
    queue holds jobs, none is taken from a later one of any project; of those of the same rank all get equal
    shares, and first comes who has waited longest since it got something.
    """

    def __init__(self, *projects: Sequence[str]) -> None:
        self._projects = tuple(tuple(queues) for queues in projects)

    @property
    def queues(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(queue for queues in self._projects for queue in queues)

    @property
    def width(self) -> int:
        """How many projects there are."""
        return len(self._projects)

    def add(self, queues: Sequence[str]) -> None:
        """One more project takes turns, and is the next."""
        if tuple(queues) not in self._projects:
            self._projects = (tuple(queues), *self._projects)

    def by_rank(self) -> list[str]:
        """The first queue of each project in turn, then the second of each, and so on."""
        return [queue for rank in zip(*self._projects, strict=True) for queue in rank]

    def served(self, queues: Iterable[str]) -> None:
        """Who got jobs from these queues has had its turn."""
        if len(self._projects) == 1:
            return
        had = set(queues)
        self._projects = tuple(sorted(self._projects, key=lambda own: not had.isdisjoint(own)))
