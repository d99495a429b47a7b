"""What the history and the rows of a run must say, decided without the engine: from the drawing alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.json_types import JsonObject
from headrace.store.db import Database
from support.oracle import objects
from support.rows import sql

ENDS = {f"task.{end}" for end in ("completed", "failed", "skipped", "upstream_failed", "cancelled")}
EARLY = ("any_success", "any_failed", "quorum")
COUNTED = ("completed", "failed", "skipped", "upstream_failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Drawn:
    """An edge as drawn. slot: its place among the edges out of its source."""

    source: str
    target: str
    slot: int


def edges_of(document: JsonObject) -> list[Drawn]:
    slots: Counter[str] = Counter()
    drawn = []
    for one in objects(document["edges"]):
        source = str(one["source"])
        drawn.append(Drawn(source, str(one["target"]), slots[source]))
        slots[source] += 1
    return drawn


async def require_sound(db: Database, run_id: UUID, document: JsonObject) -> None:
    """Whoever ran did so after its parents; every counter is the count of what is stored."""
    await require_order(db, run_id, document)
    await require_counts(db, run_id, document)


async def require_order(db: Database, run_id: UUID, document: JsonObject) -> None:
    """Reads the history from its beginning: when a task was queued, its parents had ended, and had not been
    opened again; of an early join, one of them.
    """
    parents: dict[str, set[str]] = {str(one["id"]): set() for one in objects(document["nodes"])}
    for one in edges_of(document):
        parents[one.target].add(one.source)
    early = {str(one["id"]) for one in objects(document["nodes"]) if _is_early(one)}
    ended: set[str] = set()
    begun: set[str] = set()
    for name, kind in await _history(db, run_id):
        if kind == "task.reopened":
            ended.discard(name)
            begun.discard(name)
        elif kind in ENDS:
            ended.add(name)
        elif kind in ("task.queued", "task.running") and name not in begun:
            begun.add(name)
            had = parents[name] & ended
            assert had if parents[name] and name in early else had == parents[name], (name, kind)


def _is_early(node: JsonObject) -> bool:
    join = node.get("join", "all")
    rule = join.get("rule") if isinstance(join, dict) else join
    return str(rule).startswith(EARLY)


async def _history(db: Database, run_id: UUID) -> Iterator[tuple[str, str]]:
    rows = await sql(
        db,
        "SELECT node_id, type FROM workflow_events WHERE run_id = $1 AND type LIKE 'task.%' ORDER BY id",
        run_id,
    )
    return ((row.node_id, row.type) for row in rows)


async def require_counts(db: Database, run_id: UUID, document: JsonObject) -> None:
    """What is pending has counted each edge once, and the run each task."""
    rows = await sql(db, "SELECT * FROM workflow_tasks WHERE run_id = $1", run_id)
    tasks = {row.node_id: row for row in rows}
    letters: dict[str, Counter[str]] = {name: Counter() for name in tasks}
    for one in edges_of(document):
        source = tasks[one.source]
        letters[one.target][source.outcomes[one.slot] if source.propagated else "?"] += 1
    for name, row in tasks.items():
        if row.status == "pending":
            counts = (row.edges_unresolved, row.edges_taken, row.edges_failed, row.edges_cancelled)
            assert (name, counts) == (name, tuple(letters[name][letter] for letter in "?TFC"))
    (run,) = await sql(db, "SELECT * FROM workflow_runs WHERE id = $1", run_id)
    told = Counter(row.status for row in rows if row.propagated)
    assert {status: getattr(run, status) for status in COUNTED} == {one: told[one] for one in COUNTED}
    finals = {str(one["id"]) for one in objects(document["nodes"]) if one.get("finally")}
    left = [name for name, row in tasks.items() if not row.propagated and name not in finals]
    assert run.phase != "main" or run.open == len(left)
