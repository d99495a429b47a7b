"""Activities kept in the database, as people and the palette see them; whether they are trusted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from headrace.activities.declaration import Declaration
from headrace.engine.program import Engine
from headrace.errors import NotFound
from headrace.graph.project import DEFAULT_PROJECT, require_project
from headrace.store import activities_seen, pins, stored_activities
from headrace.store.db import Tx
from headrace.store.stored_activities import Stored, Version

SHORTEST_PREFIX = 8
"""Characters of a hash that name a version."""


@dataclass(frozen=True, slots=True)
class Described:
    """An activity with what uses it: one that is stored, or one that a worker has declared.

    used_by: names of workflows whose current version does. workers: how many that live can run it now.
    not_seen_since: no worker that has it was heard of since then.
    """

    name: str
    used_by: tuple[str, ...]
    stored: Stored | None = None
    declared: Declaration | None = None
    workers: int = 0
    not_seen_since: datetime | None = None


async def find(engine: Engine, project: str = DEFAULT_PROJECT) -> list[Described]:
    """A project's activities, by name. Looks through the current versions of all workflows."""
    async with engine.db.transaction() as tx:
        stored = await stored_activities.find(tx, project)
        seen = [one for one in await activities_seen.find(tx) if one.project == project]
        declared = [(Declaration.from_json(one.declaration), one) for one in seen]
        names = [*(one.name for one in stored), *(one.name for one, _ in declared)]
        users = await stored_activities.users(tx, project, names) if names else {}
    hiding = {one.name for one in stored if one.active is not None}
    found = [Described(one.name, tuple(users[one.name]), stored=one) for one in stored]
    found += [
        Described(one.name, tuple(users[one.name]), None, one, sight.workers, sight.not_seen_since)
        for one, sight in declared
        if sight.counts or one.name not in hiding
    ]
    return sorted(found, key=lambda one: one.name)


async def palette(engine: Engine, project: str = DEFAULT_PROJECT) -> list[Stored]:
    """The stored activities that a project's workflows may use, by name."""
    async with engine.db.connection() as tx:
        return [one for one in await stored_activities.find(tx, project) if one.active is not None]


@dataclass(frozen=True, slots=True)
class Read:
    """An activity with one of its versions and that version's source."""

    stored: Stored
    version: Version
    source: str


async def read(engine: Engine, name: str, hash: str | None = None, project: str = DEFAULT_PROJECT) -> Read:
    """One version of an activity with its source: the active one, or else the newest. Raises NotFound."""
    async with engine.db.transaction() as tx:
        stored = await _one(tx, project, name)
        known = await stored_activities.versions(tx, project, name)
        active = next((one.hash for one in known if one.is_active), known[0].hash)
        wanted = active if hash is None else named(name, hash, [one.hash for one in known])
        source = (await stored_activities.sources(tx, project, {name: wanted}))[name]
    return Read(stored, next(one for one in known if one.hash == wanted), source.text)


async def versions(engine: Engine, name: str, project: str = DEFAULT_PROJECT) -> list[Version]:
    """An activity's versions, newest first. Raises NotFound."""
    async with engine.db.transaction() as tx:
        await _one(tx, project, name)
        return await stored_activities.versions(tx, project, name)


async def is_trusted(engine: Engine, project: str = DEFAULT_PROJECT) -> bool:
    """Whether the project's Python activities run without a sandbox."""
    async with engine.db.connection() as tx:
        return await pins.is_trusted(tx, project)


async def set_trusted(engine: Engine, trusted: bool, project: str = DEFAULT_PROJECT) -> None:
    """Decides whether the project's Python activities run without a sandbox, from their next attempt on.

    Raises InvalidInput for what is no name of a project.
    """
    require_project(project)
    async with engine.db.transaction() as tx:
        await pins.set_trusted(tx, project, trusted)


def named(name: str, hash: str, known: Collection[str]) -> str:
    """The one version whose hash begins so. Raises NotFound."""
    matching = [one for one in known if one.startswith(hash) and len(hash) >= SHORTEST_PREFIX]
    if len(matching) != 1:
        raise NotFound(f"The activity '{name}' has no version '{hash}'")
    return matching[0]


async def _one(tx: Tx, project: str, name: str) -> Stored:
    found = await stored_activities.find(tx, project, [name])
    if not found:
        raise NotFound(f"There is no activity '{name}'")
    return found[0]
