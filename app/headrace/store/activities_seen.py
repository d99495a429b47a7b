"""Which activities workers have declared, and which worker can run what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.project import EVERY_PROJECT
from headrace.graph.sightings import KEPT_FOR, still_counts
from headrace.store.codec import dump, load
from headrace.store.db import Record, Tx

LACK = "activity "
"""Before the name of an activity in `held_for`: its task waits for a worker that has it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An activity that some worker has declared. workers: how many that live can run it now.

    seen_at: when one that has it was last heard of. counts: see `headrace.graph.sightings`.
    """

    project: str
    declaration: JsonObject
    seen_at: datetime
    workers: int
    counts: bool

    @property
    def not_seen_since(self) -> datetime | None:
        """When a worker that has it was last heard of, if it counts no more."""
        return None if self.counts else self.seen_at


_DECLARE = """
INSERT INTO activities_seen (project, name, declaration)
SELECT $1, name, declaration::jsonb FROM unnest($2::text[], $3::text[]) AS g(name, declaration) ORDER BY name
ON CONFLICT (project, name) DO UPDATE SET declaration = EXCLUDED.declaration, seen_at = now()
"""

_OFFER = """
INSERT INTO worker_activities (worker_id, names, problems) VALUES ($1, $2, $3::text::jsonb)
ON CONFLICT (worker_id) DO UPDATE SET names = EXCLUDED.names, problems = EXCLUDED.problems
"""


async def declare(
    tx: Tx,
    worker_id: UUID,
    project: str,
    declarations: Mapping[str, JsonObject],
    problems: Sequence[JsonObject],
) -> None:
    """Notes what a worker can run, by name, and what it could not load."""
    names = sorted(declarations)
    await tx.fetch(_DECLARE, project, names, [dump(declarations[name]) for name in names])
    await tx.fetch(_OFFER, worker_id, names, dump([*problems]))


# A worker counts while it is heard of.
_LIVE = """
SELECT count(*)::int FROM worker_activities o JOIN workflow_workers w ON w.id = o.worker_id
WHERE w.state = 'running' AND w.last_heartbeat > clock_timestamp() - make_interval(secs => 60)
  AND s.name = ANY(o.names)
"""

_LAST = """
SELECT max(w.last_heartbeat) FROM worker_activities o JOIN workflow_workers w ON w.id = o.worker_id
WHERE s.name = ANY(o.names)
"""

_FIND = f"""
SELECT s.project, s.declaration, ({_LIVE}) AS workers, greatest(s.seen_at, ({_LAST})) AS seen_at, now() AS now
FROM activities_seen s
WHERE $1::text[] IS NULL OR s.name = ANY($1) ORDER BY s.name, s.seen_at
"""


async def find(tx: Tx, names: Sequence[str] | None = None) -> list[Seen]:
    """Activities by name; None: all of them."""
    rows = await tx.fetch(_FIND, None if names is None else list(names))
    return [_seen(row) for row in rows]


_CREW = f"""
SELECT count(*)::int AS workers FROM workflow_workers
WHERE state = 'running' AND last_heartbeat > clock_timestamp() - make_interval(secs => 60)
  AND projects && ARRAY[$1, '{EVERY_PROJECT}']
"""


async def count_crew(tx: Tx, project: str) -> int:
    """How many workers that live take tasks of a project, whatever activities they have."""
    (row,) = await tx.fetch(_CREW, project)
    return int(row.workers)


async def offers(tx: Tx, held_for: Sequence[str]) -> dict[str, int]:
    """How many workers have the activities that tasks wait for, of those that were ever declared."""
    names = sorted({one.removeprefix(LACK) for one in held_for if one.startswith(LACK)})
    found = await find(tx, names) if names else []
    return {str(one.declaration["name"]): one.workers for one in found}


def _seen(row: Record) -> Seen:
    declaration = cast(JsonObject, load(row.declaration))
    return Seen(row.project, declaration, row.seen_at, row.workers, still_counts(row.seen_at, row.now))


# Rows of workers go a day after their end: what they were seen with is noted before.
_NOTE_SIGHTINGS = f"""
UPDATE activities_seen s SET seen_at = greatest(s.seen_at, ({_LAST}))
WHERE s.seen_at < ({_LAST})
"""


async def forget_old(tx: Tx) -> None:
    """Forgets activities of which no worker was heard for a month. Called more often than once a day."""
    await tx.fetch(_NOTE_SIGHTINGS)
    await tx.fetch("DELETE FROM activities_seen WHERE seen_at < now() - $1::interval", KEPT_FOR)


_LOAD_PROBLEMS = """
SELECT DISTINCT p.value AS problem FROM worker_activities o
JOIN workflow_workers w ON w.id = o.worker_id, jsonb_array_elements(o.problems) AS p
WHERE w.state = 'running' AND w.last_heartbeat > clock_timestamp() - make_interval(secs => 60)
ORDER BY problem
"""


async def load_problems(tx: Tx) -> list[JsonValue]:
    """What workers that live could not load, each once."""
    return [load(row.problem) for row in await tx.fetch(_LOAD_PROBLEMS)]


_WAITING = """
SELECT run_id, position FROM workflow_tasks
WHERE status = 'waiting' AND held_for = ANY($1) AND NOT is_paused
ORDER BY run_id, position LIMIT $2
"""


async def waiting_for(tx: Tx, names: Sequence[str], limit: int) -> list[TaskId]:
    """Tasks that wait for a worker that has one of these activities."""
    rows = await tx.fetch(_WAITING, [LACK + name for name in names], limit)
    return [TaskId(row.run_id, row.position) for row in rows]
