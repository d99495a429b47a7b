"""The source of stored activities, as a node finds it in its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from headrace.errors import HeadraceError


class LostVersion(HeadraceError):
    """The version of the activity that the run uses was purged."""

    code = "LostVersion"


@dataclass(frozen=True, slots=True)
class StoredSource:
    """One version of an activity. language: python or javascript. entry: the function that is called.

    parameters: what it takes by name; empty when it takes one value, whatever that is.
    """

    language: str
    text: str
    entry: str
    parameters: frozenset[str] = frozenset()


class StoredSources(Protocol):
    """The stored activities that a run is pinned to."""

    async def source(self, name: str) -> StoredSource:
        """The version that this run uses, whatever is active by now. Raises LostVersion."""
        ...

    def has(self, name: str) -> bool:
        """Whether the run is pinned to a version of this activity."""
        ...

    async def adopt(self, run_id: UUID, name: str) -> bool:
        """Pins the run to an activity that nobody had when it began; False if nobody has it still."""
        ...

    async def is_trusted(self) -> bool:
        """Whether the project lets its activities run without a sandbox, as it is now."""
        ...


class NoSources:
    """For runs that use none."""

    async def source(self, name: str) -> StoredSource:
        raise LostVersion(
            f"this process does not know '{name}', and its run is pinned to no stored activity of that name"
        )

    def has(self, name: str) -> bool:  # noqa: ARG002
        return False

    async def adopt(self, run_id: UUID, name: str) -> bool:  # noqa: ARG002
        return False

    async def is_trusted(self) -> bool:
        return False


NO_SOURCES = NoSources()
