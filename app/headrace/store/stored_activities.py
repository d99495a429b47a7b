"""Activities whose source is kept in the database, and their versions.

Whoever starts a run that uses one holds its row with a share lock until the run is there; whoever changes or
deletes it takes the row alone first. So a version is never deleted between its choice and its pin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from headrace.graph.json_types import JsonObject
from headrace.store.codec import dump, load
from headrace.store.db import Record, Tx


@dataclass(frozen=True, slots=True)
class Source:
    """What a worker runs. language: python or javascript. entry: the function that it calls.

    input_schema: of what the entry takes.
    """

    language: str
    text: str
    entry: str
    input_schema: JsonObject


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to keep. hash: of its source. exports: names that could be its entry. by: who uploads it."""

    hash: str
    source: Source
    exports: Sequence[str]
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version in a list."""

    hash: str
    language: str
    entry: str
    exports: tuple[str, ...]
    input_schema: JsonObject
    is_active: bool
    created_by: str | None
    created_at: datetime
    activated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored activity in a list. active: its active version, if it has one."""

    name: str
    active: Version | None
    versions: int
    created_at: datetime
    updated_at: datetime


_ADD = "INSERT INTO stored_activities (project, name) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_LOCK = """
SELECT coalesce(active, '') AS active FROM stored_activities WHERE project = $1 AND name = $2 FOR UPDATE
"""


async def lock(tx: Tx, project: str, name: str) -> str | None:
    """Takes an activity alone; the hash of its active version, '' without one, None when there is none."""
    row = await tx.row(_LOCK, project, name)
    return None if row is None else row.active


async def add(tx: Tx, project: str, name: str) -> str:
    """Makes sure that there is such an activity, and takes it alone; the hash of its active version or ''."""
    await tx.fetch(_ADD, project, name)
    # A statement of its own: it must see what another upload, for which the first one waited, has left.
    return await lock(tx, project, name) or ""


_ADD_VERSION = """
INSERT INTO activity_versions (project, name, hash, language, source, entry, exports, input_schema,
                               created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::json, $9)
ON CONFLICT DO NOTHING RETURNING hash
"""


async def add_version(tx: Tx, project: str, name: str, new: NewVersion) -> bool:
    """Keeps a version of an activity that is taken; False when it is kept already."""
    source = new.source
    return bool(
        await tx.fetch(
            _ADD_VERSION,
            *(project, name, new.hash, source.language, source.text, source.entry),
            *(dump(list(new.exports)), dump(source.input_schema), new.by),
        )
    )


_ACTIVATE_VERSION = """
UPDATE activity_versions SET activated_at = clock_timestamp() WHERE project = $1 AND name = $2 AND hash = $3
"""
_ACTIVATE = """
UPDATE stored_activities SET active = $3, updated_at = clock_timestamp() WHERE project = $1 AND name = $2
"""


async def activate(tx: Tx, project: str, name: str, hash: str) -> None:
    """Makes a version of an activity that is taken the one that new runs use."""
    await tx.fetch(_ACTIVATE_VERSION, project, name, hash)
    await tx.fetch(_ACTIVATE, project, name, hash)


_PREVIOUS = """
SELECT hash FROM activity_versions
WHERE project = $1 AND name = $2 AND hash <> $3 AND activated_at IS NOT NULL
ORDER BY activated_at DESC LIMIT 1
"""


async def active_before(tx: Tx, project: str, name: str, active: str) -> str | None:
    """The version that was active before the given one, if it is still kept."""
    row = await tx.row(_PREVIOUS, project, name, active)
    return None if row is None else row.hash


_CROWD_OUT = """
DELETE FROM activity_versions v
WHERE v.project = $1 AND v.name = $2 AND v.hash IN (
    SELECT hash FROM activity_versions WHERE project = $1 AND name = $2
    ORDER BY greatest(created_at, activated_at) DESC OFFSET $3)
  AND NOT EXISTS (SELECT 1 FROM stored_activities a
                  WHERE a.project = v.project AND a.name = v.name AND a.active = v.hash)
  AND NOT EXISTS (SELECT 1 FROM workflow_runs r
                  WHERE r.pins IS NOT NULL AND r.finished_at IS NULL AND r.project = v.project
                    AND r.pins->>v.name = v.hash)
"""


async def crowd_out(tx: Tx, project: str, name: str, kept: int) -> None:
    """Deletes all but the newest versions, and never one that is active or pinned by a run that goes on."""
    await tx.fetch(_CROWD_OUT, project, name, kept)


_VERSION = """
v.hash, v.language, v.entry, v.exports, v.input_schema, v.created_by, v.created_at, v.activated_at
"""
_VERSIONS = f"""
SELECT {_VERSION}, v.hash = a.active AS is_active
FROM activity_versions v JOIN stored_activities a USING (project, name)
WHERE v.project = $1 AND v.name = $2 ORDER BY v.created_at DESC, v.hash
"""


async def versions(tx: Tx, project: str, name: str) -> list[Version]:
    """An activity's versions, newest first."""
    return [_version(row, bool(row.is_active)) for row in await tx.fetch(_VERSIONS, project, name)]


_LIST = f"""
SELECT a.name, {_VERSION}, a.created_at AS added_at, a.updated_at,
       (SELECT count(*) FROM activity_versions n WHERE n.project = a.project AND n.name = a.name) AS versions
FROM stored_activities a
LEFT JOIN activity_versions v ON v.project = a.project AND v.name = a.name AND v.hash = a.active
WHERE a.project = $1 AND ($2::text[] IS NULL OR a.name = ANY($2)) ORDER BY a.name
"""


async def find(tx: Tx, project: str, names: Sequence[str] | None = None) -> list[Stored]:
    """Activities by name: all of them, or those of the given names that there are."""
    return [
        Stored(
            name=row.name,
            active=None if row.hash is None else _version(row, is_active=True),
            versions=row.versions,
            created_at=row.added_at,
            updated_at=row.updated_at,
        )
        for row in await tx.fetch(_LIST, project, None if names is None else list(names))
    ]


_SOURCES = """
SELECT v.name, v.language, v.source, v.entry, v.input_schema
FROM activity_versions v JOIN unnest($2::text[], $3::text[]) AS n(name, hash) USING (name, hash)
WHERE v.project = $1
"""


async def sources(tx: Tx, project: str, pins: Mapping[str, str]) -> dict[str, Source]:
    """Sources by the activity's name, of those versions that are kept. pins: hashes by name."""
    rows = await tx.fetch(_SOURCES, project, list(pins), list(pins.values()))
    return {
        row.name: Source(row.language, row.source, row.entry, cast(JsonObject, load(row.input_schema)))
        for row in rows
    }


_DELETE = "DELETE FROM stored_activities WHERE project = $1 AND name = $2 RETURNING name"


async def delete(tx: Tx, project: str, name: str) -> bool:
    """Deletes an activity with its versions; False when there is none."""
    return bool(await tx.fetch(_DELETE, project, name))


_USERS = """
SELECT DISTINCT w.name AS workflow, named.value #>> '{}' AS name
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
CROSS JOIN LATERAL (
  SELECT jsonb_path_query(v.definition, '$.**.type') AS value
  UNION ALL SELECT jsonb_path_query(v.definition, '$.**.config.activity')) AS named
WHERE named.value #>> '{}' = ANY($1) AND w.project = $2
ORDER BY 2, 1
"""


async def users(tx: Tx, project: str, names: Iterable[str]) -> dict[str, list[str]]:
    """A project's workflows whose current version names an activity, also in bodies. Reads all of them."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for row in await tx.fetch(_USERS, list(found), project):
        found[row.name].append(row.workflow)
    return found


_ACTIVE_PINS = """
SELECT count(*) AS number FROM workflow_runs
WHERE pins IS NOT NULL AND finished_at IS NULL AND pins ? $1 AND project = $2
"""


async def pinned_runs(tx: Tx, project: str, name: str) -> int:
    """How many runs that have not ended use an activity."""
    row = await tx.row(_ACTIVE_PINS, name, project)
    return 0 if row is None else int(row.number)


def _version(row: Record, is_active: bool) -> Version:
    return Version(
        hash=row.hash,
        language=row.language,
        entry=row.entry,
        exports=tuple(cast("list[str]", load(row.exports))),
        input_schema=cast(JsonObject, load(row.input_schema)),
        is_active=is_active,
        created_by=row.created_by,
        created_at=row.created_at,
        activated_at=row.activated_at,
    )
