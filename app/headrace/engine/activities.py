"""Activities kept in the database: upload, activate, roll back, delete.

A version is a source, named by its hash; it never changes. New runs use the active one, runs under way the
one that they were pinned to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from headrace.engine.activity_reading import named
from headrace.engine.lacking import let_go
from headrace.engine.program import Engine
from headrace.errors import InvalidInput, NotFound, Problem, TooLarge, WrongState
from headrace.graph.dispatch import Dispatch
from headrace.graph.project import DEFAULT_PROJECT, require_project
from headrace.nodes.lanes import Language
from headrace.nodes.stored_source import Parameter, entry_of, input_schema
from headrace.store import activities_seen, stored_activities
from headrace.store.codec import dump, plain
from headrace.store.db import Tx
from headrace.store.stored_activities import NewVersion, Source

KEPT = 10
"""Versions of an activity that are kept, beside those that are in use."""

SOURCE_LIMIT = 1024 * 1024
"""Characters of one source."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Upload:
    """A source to keep. entry: the function to call; None: the one of the activity's name, or the only one.

    activates: new runs use it from now on. by: who uploads it. project: whose workflows may use it.
    """

    name: str
    language: Language
    source: str
    entry: str | None = None
    activates: bool = True
    by: str | None = None
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of an upload. is_new: there was no version with this content.

    dispatches: to push, of tasks that have waited for the activity.
    """

    name: str
    hash: str
    is_new: bool
    is_active: bool
    dispatches: Sequence[Dispatch] = ()


@dataclass(frozen=True, slots=True)
class Activated:
    """The version that new runs use. dispatches: to push, of tasks that have waited for the activity."""

    hash: str
    dispatches: Sequence[Dispatch] = ()


class Looked(Protocol):
    """What is known of a source that was looked at. exports: names of its functions.

    takes: their parameters by the function's name, where they have names.
    """

    @property
    def problems(self) -> Sequence[Problem]: ...

    @property
    def exports(self) -> Sequence[str]: ...

    @property
    def takes(self) -> Mapping[str, Sequence[Parameter]]: ...


class Look(Protocol):
    """Looks at a source outside of this process."""

    async def __call__(self, language: Language, source: str) -> Looked:
        """What keeps it from being run, and its functions."""
        ...


def hash_of(language: str, entry: str, source: str) -> str:
    """The name of a version: SHA-256, in hex, of what it runs."""
    return hashlib.sha256(dump([language, entry, source]).encode()).hexdigest()


async def upload(engine: Engine, wanted: Upload, look: Look) -> Uploaded:
    """Keeps a source, if it is not kept yet, and makes it the active version unless it is not to be.

    Raises InvalidInput, TooLarge, and WrongState for a name that Headrace or a worker brings.
    """
    require_project(wanted.project)
    _require_name(engine, wanted.name)
    _require_storable(wanted.source)
    looked = await _looked(wanted, look)
    entry = _entry(wanted, looked.exports)
    new = NewVersion(
        hash=hash_of(wanted.language, entry, wanted.source),
        source=Source(wanted.language, wanted.source, entry, input_schema(looked.takes, entry)),
        exports=looked.exports,
        by=wanted.by,
    )
    return await engine.db.transact(partial(_keep, wanted, new))


async def _keep(wanted: Upload, new: NewVersion, tx: Tx) -> Uploaded:
    name, project = wanted.name, wanted.project
    await _require_free(tx, project, name)
    active = await stored_activities.add(tx, project, name)
    is_new = await stored_activities.add_version(tx, project, name, new)
    jobs: Sequence[Dispatch] = ()
    if wanted.activates and active != new.hash:
        await stored_activities.activate(tx, project, name, new.hash)
        jobs = [] if active else await let_go(tx, [name])
    await stored_activities.crowd_out(tx, project, name, KEPT)
    return Uploaded(name, new.hash, is_new, wanted.activates or active == new.hash, jobs)


async def _require_free(tx: Tx, project: str, name: str) -> None:
    for one in await activities_seen.find(tx, [name]):
        if one.project == project and one.counts:
            last = f", last seen at {one.seen_at:%Y-%m-%d %H:%M} UTC, which counts for a day"
            brought = f"'{name}' is an activity that a worker brings{'' if one.workers else last}"
            raise WrongState(f"{brought}: give this one another name")


async def _looked(wanted: Upload, look: Look) -> Looked:
    looked = await look(wanted.language, wanted.source)
    if looked.problems:
        raise InvalidInput("The source is not valid", list(looked.problems))
    return looked


def _entry(wanted: Upload, exports: Sequence[str]) -> str:
    entry = entry_of(wanted.name, exports, wanted.entry)
    if entry is None:
        missing = f"it exports no function '{wanted.entry or wanted.name}'"
        hint = f"it exports {', '.join(exports)}: name the entry" if exports else "write one, or export it"
        raise InvalidInput("The source is not valid", [Problem("entry", missing, hint)])
    return entry


def _require_name(engine: Engine, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        hint = "up to 64 letters, digits, `_`, `.` and `-`, and first a letter or `_`"
        raise InvalidInput(
            "The activity cannot be called so", [Problem("name", f"'{name}' is no name", hint)]
        )
    if engine.nodes.get(name) is not None:
        raise WrongState(f"'{name}' is a node type that Headrace brings: give the activity another name")


def _require_storable(source: str) -> None:
    if len(source) > SOURCE_LIMIT:
        raise TooLarge(f"the source has {len(source)} characters, more than the limit of {SOURCE_LIMIT}")
    if plain(source) != source:
        raise InvalidInput(
            "The source is not valid", [Problem("source", "it holds a NUL or half a character")]
        )


async def activate(engine: Engine, name: str, hash: str, project: str = DEFAULT_PROJECT) -> Activated:
    """Makes a version the one that new runs use. hash: or its first 8 characters or more.

    Raises NotFound.
    """

    async def work(tx: Tx) -> Activated:
        before = await _lock(tx, project, name)
        known = [one.hash for one in await stored_activities.versions(tx, project, name)]
        whole = named(name, hash, known)
        await stored_activities.activate(tx, project, name, whole)
        return Activated(whole, [] if before else await let_go(tx, [name]))

    return await engine.db.transact(work)


async def roll_back(engine: Engine, name: str, project: str = DEFAULT_PROJECT) -> str:
    """Makes the version active again that was active before; its hash. A second time undoes the first.

    Raises NotFound, and WrongState when no version was active before.
    """

    async def work(tx: Tx) -> str:
        active = await _lock(tx, project, name)
        before = await stored_activities.active_before(tx, project, name, active)
        if before is None:
            raise WrongState(f"The activity '{name}' had no other active version before")
        await stored_activities.activate(tx, project, name, before)
        return before

    return await engine.db.transact(work)


async def delete(engine: Engine, name: str, is_forced: bool = False, project: str = DEFAULT_PROJECT) -> None:
    """Deletes an activity with all its versions.

    Raises NotFound; WrongState while a workflow or a run that goes on uses it. If it is forced, such runs
    fail with LostVersion when they come to it.
    """

    async def work(tx: Tx) -> None:
        await _lock(tx, project, name)
        if not is_forced:
            await _require_unused(tx, project, name)
        await stored_activities.delete(tx, project, name)

    await engine.db.transact(work)


async def _require_unused(tx: Tx, project: str, name: str) -> None:
    workflows = (await stored_activities.users(tx, project, [name]))[name]
    if workflows:
        listed = ", ".join(f"'{one}'" for one in workflows[:5])
        raise WrongState(f"{len(workflows)} workflow(s) use the activity '{name}': {listed}")
    runs = await stored_activities.pinned_runs(tx, project, name)
    if runs:
        raise WrongState(f"{runs} run(s) that go on use the activity '{name}'")


async def _lock(tx: Tx, project: str, name: str) -> str:
    active = await stored_activities.lock(tx, project, name)
    if active is None:
        raise NotFound(f"There is no activity '{name}'")
    return active
