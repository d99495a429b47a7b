"""Which versions of stored activities a run uses: chosen once, when it starts.

A retry keeps them, and what runs for a run inherits them. A rerun is a new run: it takes those that are
active then, because that is how a mended activity reaches it. A run that waits for an activity which nobody
had is pinned when it is there, to the version that those use for which it runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from headrace.errors import InvalidInput, Problem, WrongState
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT
from headrace.nodes.stored_sources import NO_SOURCES, LostVersion, StoredSource
from headrace.store import pins, runs, stored_activities
from headrace.store.db import Database, Tx
from headrace.store.pins import InLine

Pins = Mapping[str, str]
"""Hashes of versions by the activity's name."""


async def choose(
    tx: Tx,
    names: frozenset[str],
    inherited: Pins = MappingProxyType({}),
    project: str = DEFAULT_PROJECT,
) -> Pins:
    """The pins of a run that begins. names: of the stored activities in its plan, which may be none.

    Raises InvalidInput when one of them has no active version.
    """
    wanted = sorted(names - inherited.keys())
    if not wanted:
        return inherited
    found = await pins.active(tx, project, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        problems = [Problem("", f"there is no activity '{name}' with an active version") for name in missing]
        raise InvalidInput("The run needs activities that are not there", problems)
    return {**inherited, **found}


async def require_kept(tx: Tx, run_id: UUID, project: str = DEFAULT_PROJECT) -> None:
    """Raises WrongState when a version that a run is pinned to was deleted; else it stays."""
    lost = await pins.lost(tx, project, await pins.of_run(tx, run_id))
    if lost:
        raise WrongState(f"The run's version of {', '.join(lost)} is not kept any more: start a rerun")


class Pin(NamedTuple):
    """One version of a project's activity."""

    project: str
    name: str
    hash: str


class Sources:
    """The sources used last, by hash: they never change, so nothing goes stale."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._kept: OrderedDict[Pin, StoredSource] = OrderedDict()

    async def load(self, db: Database, pin: Pin) -> StoredSource:
        """Raises LostVersion."""
        if pin not in self._kept:
            self._kept[pin] = await _read(db, pin)
        self._kept.move_to_end(pin)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return self._kept[pin]


async def _read(db: Database, pin: Pin) -> StoredSource:
    async with db.connection() as tx:
        found = (await stored_activities.sources(tx, pin.project, {pin.name: pin.hash})).get(pin.name)
    if found is None:
        raise LostVersion(f"version {pin.hash[:12]} of the activity '{pin.name}' was purged")
    return StoredSource(found.language, found.text, found.entry, _parameters(found.input_schema))


def _parameters(schema: JsonObject) -> frozenset[str]:
    properties = schema.get("properties")
    return frozenset(properties if isinstance(properties, dict) else ())


@dataclass(frozen=True, slots=True)
class PinnedSources:
    """The stored activities as one run sees them."""

    db: Database
    kept: Sources
    pins: dict[str, str]
    project: str = DEFAULT_PROJECT

    async def source(self, name: str) -> StoredSource:
        """The source that this run uses. Raises LostVersion, also for what the run is not pinned to."""
        if name not in self.pins:
            return await NO_SOURCES.source(name)
        return await self.kept.load(self.db, Pin(self.project, name, self.pins[name]))

    def has(self, name: str) -> bool:
        return name in self.pins

    async def adopt(self, run_id: UUID, name: str) -> bool:
        """Pins the run, and those that it runs for, to an activity that nobody had when it began.

        False when there is still no active version of it.
        """
        found = await self.db.transact(partial(_pin_late, self.project, run_id, name))
        if found is not None:
            self.pins[name] = found
        return found is not None

    async def is_trusted(self) -> bool:
        """Whether the project lets its activities run without a sandbox, as it is now."""
        async with self.db.connection() as tx:
            return await pins.is_trusted(tx, self.project)


async def _pin_late(project: str, run_id: UUID, name: str, tx: Tx) -> str | None:
    """Locks nothing while there is nothing to be had, and later only those in line that have no pin.

    As long as nobody has one, this includes the outermost run: two who come at once choose one version.
    """
    line = await pins.line(tx, run_id, project, name)
    if _nearest(line) is None and not await pins.is_active(tx, project, name):
        return None
    unpinned = [one.run_id for one in line if one.hash is None]
    if unpinned:
        await runs.lock(tx, unpinned)
        line = await pins.line(tx, run_id, project, name)
    found = _nearest(line) or (await pins.active(tx, project, [name])).get(name)
    if found is not None and unpinned:
        await pins.add(tx, unpinned, name, found)
    return found


def _nearest(line: Sequence[InLine]) -> str | None:
    """The version of the nearest run that has one."""
    return next((one.hash for one in line if one.hash is not None), None)
