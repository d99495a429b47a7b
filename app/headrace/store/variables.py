"""Variables of runs, workflows and projects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.codec import dump_optional, load
from headrace.store.db import Tx

CONDITION = "condition"
"""What a task waits for that looks at a condition again and again."""


@dataclass(frozen=True, slots=True)
class VariableName:
    """scope: run, workflow or project. owner: the id of the one that has it."""

    scope: str
    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's value."""

    value: JsonValue


async def find(tx: Tx, name: VariableName) -> Variable | None:
    """The variable, or None when it was never set."""
    row = await tx.row(
        "SELECT value FROM workflow_variables WHERE scope = $1 AND owner = $2 AND name = $3",
        name.scope,
        name.owner,
        name.name,
    )
    return None if row is None else Variable(load(row.value))


async def lock(tx: Tx, name: VariableName) -> None:
    """Nobody else changes the variable until the end of the transaction, even if it does not exist yet."""
    text = f"variable {name.scope} {name.owner} {name.name}"
    await tx.fetch("SELECT pg_advisory_xact_lock(hashtextextended($1, 17))", text)


_SET = """
INSERT INTO workflow_variables (scope, owner, name, value) VALUES ($1, $2, $3, $4::text::jsonb)
ON CONFLICT (scope, owner, name) DO UPDATE SET value = EXCLUDED.value, updated_at = now()
"""


async def put(tx: Tx, name: VariableName, value: JsonValue) -> None:
    """Sets the variable. It must be locked."""
    await tx.fetch(_SET, name.scope, name.owner, name.name, dump_optional(value))


# A task that reads, sees nothing new and parks while this commits is not woken: it looks again at its time.
_WAKE_WATCHERS = """
WITH watching AS (
  SELECT run_id, position FROM workflow_tasks
  WHERE run_id = ANY($1) AND status = 'waiting' AND waits_for = $2 AND wake_at > now()
  ORDER BY run_id, position FOR NO KEY UPDATE
)
UPDATE workflow_tasks t SET wake_at = now()
FROM watching w WHERE t.run_id = w.run_id AND t.position = w.position
"""


async def wake_watchers(tx: Tx, run_ids: Collection[UUID]) -> None:
    """Lets the tasks of these runs that wait for a condition look at it again with the next tick."""
    await tx.fetch(_WAKE_WATCHERS, sorted(run_ids), CONDITION)


async def written(tx: Tx, task: TaskId) -> Variable | None:
    """What an earlier attempt of the task made of its variable; None when there was none."""
    row = await tx.row(
        "SELECT value FROM variable_writes WHERE run_id = $1 AND position = $2", task.run_id, task.position
    )
    return None if row is None else Variable(load(row.value))


async def remember(tx: Tx, task: TaskId, value: JsonValue) -> None:
    """What this task made of its variable."""
    await tx.fetch(
        "INSERT INTO variable_writes (run_id, position, value) VALUES ($1, $2, $3::text::jsonb)",
        task.run_id,
        task.position,
        dump_optional(value),
    )


async def of_owner(tx: Tx, scope: str, owner: str) -> JsonObject:
    """All variables of one owner."""
    rows = await tx.fetch(
        "SELECT name, value FROM workflow_variables WHERE scope = $1 AND owner = $2 ORDER BY name",
        scope,
        owner,
    )
    return {row.name: load(row.value) for row in rows}
