"""Saving workflows: validated whole, frozen as versions."""

from __future__ import annotations

from uuid import UUID

from headrace.engine.program import Engine, Rules
from headrace.errors import NotFound, WrongState
from headrace.graph.definition import Definition, parse, to_wire
from headrace.graph.json_types import JsonValue
from headrace.graph.validate import require_valid
from headrace.store import runs, workflows
from headrace.store.db import Tx
from headrace.store.ids import new_id


def checked(engine: Engine, document: JsonValue) -> Definition:
    """Reads a definition in any form; raises InvalidDefinition that lists every problem."""
    definition = parse(document)
    require_valid(definition, Rules(engine.nodes))
    return definition


async def create_workflow(engine: Engine, document: JsonValue, workflow_id: UUID | None = None) -> UUID:
    """Stores a new workflow and returns its id. Raises InvalidDefinition; then nothing is stored."""
    definition = checked(engine, document)
    new = workflow_id or new_id()

    async def work(tx: Tx) -> None:
        await workflows.add(tx, new, definition.name, to_wire(definition))

    await engine.db.transact(work)
    return new


async def update_workflow(engine: Engine, workflow_id: UUID, document: JsonValue) -> None:
    """Stores a next version; runs that are under way keep theirs. Raises NotFound, InvalidDefinition."""
    definition = checked(engine, document)

    async def work(tx: Tx) -> None:
        if not await workflows.add_version(tx, workflow_id, definition.name, to_wire(definition)):
            raise NotFound("Workflow not found")

    await engine.db.transact(work)


async def delete_workflow(engine: Engine, workflow_id: UUID) -> None:
    """Deletes a workflow with all its runs. Raises NotFound; WrongState while a run is active."""

    async def work(tx: Tx) -> None:
        await workflows.lock(tx, workflow_id)
        if await runs.has_active(tx, workflow_id):
            raise WrongState("The workflow has active runs; cancel them first")
        if not await workflows.delete(tx, workflow_id):
            raise NotFound("Workflow not found")

    await engine.db.transact(work)
