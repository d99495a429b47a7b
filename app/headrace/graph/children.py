"""What becomes of a task's children when some of them have ended: how many to start, whether all is over."""

from __future__ import annotations

from dataclasses import dataclass, replace

DEEPEST = 10
"""Runs that may stand above another: a workflow in a map in a workflow, and so on."""

MOST_TASKS = 100_000
"""Tasks that one started run may have below it, in all its children and their children."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Children that were asked for together, counted.

    total: all of them. started, ended, failed: of them; one that is cancelled counts as failed. at_once: how
    many may run together. tolerated: how many may fail before the others are cancelled.
    """

    total: int
    at_once: int
    tolerated: int
    started: int = 0
    ended: int = 0
    failed: int = 0

    @property
    def is_over(self) -> bool:
        return self.ended == self.total

    @property
    def is_spoilt(self) -> bool:
        """More have failed than may: the rest is not wanted any more."""
        return self.failed > self.tolerated

    def to_start(self) -> int:
        """How many of the next may start now."""
        if self.is_spoilt:
            return 0
        return max(0, min(self.at_once - (self.started - self.ended), self.total - self.started))

    def reported(self, ended: int, failed: int) -> Batch:
        """After that many more have ended, `failed` of them badly."""
        return replace(self, ended=self.ended + ended, failed=self.failed + failed)

    @property
    def takes_over(self) -> bool:
        """It has no children of its own yet: its task runs again, and keeps those that it had."""
        return self.total == 0

    def begun(self, count: int, gone: int = 0, well: int = 0) -> Batch:
        """After the next `count` were started. gone: those of them that were cancelled before their turn;
        well: those that an earlier attempt of the task has left, and that ended well.
        """
        return replace(self, started=self.started + count).reported(gone + well, gone)

    def dropped(self) -> Batch:
        """After all that had not started were cancelled."""
        rest = self.total - self.started
        return self.begun(rest, gone=rest)
