"""Saving workflows: validated whole, frozen as versions."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from headrace.engine.control import cancel_run
from headrace.engine.palette import knowing_stored
from headrace.engine.program import Engine, Rules
from headrace.errors import InvalidInput, NotFound, Problem, WrongState
from headrace.graph.definition import Definition, parse, to_wire
from headrace.graph.dispatch import Dispatch, Stop, Withdraw
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT, PROJECT_RULE, require_project
from headrace.graph.soundness import soundness
from headrace.graph.validate import require_valid
from headrace.store import runs, workflows
from headrace.store.db import Tx
from headrace.store.ids import new_id


def checked(engine: Engine, document: JsonValue) -> Definition:
    """Reads a definition in any form; raises InvalidDefinition that lists every problem."""
    definition = parse(document)
    require_valid(definition, Rules(engine.nodes))
    return definition


def warnings(engine: Engine, document: JsonValue) -> list[Problem]:
    """What of a valid definition will surprise; see `headrace.graph.soundness`."""
    definition, rules = parse(document), Rules(engine.nodes)
    return [*soundness(definition, rules), *rules.all_cautions(definition)]


async def create_workflow(
    engine: Engine, document: JsonValue, workflow_id: UUID | None = None, project: str | None = None
) -> UUID:
    """Stores a new workflow and returns its id.

    project: whose it is; None for the one that the document names, or else the default one. Raises
    InvalidInput and InvalidDefinition; then nothing is stored.
    """
    owner = require_project(project) if project else _named_project(document) or DEFAULT_PROJECT
    definition = checked(await knowing_stored(engine, document, owner), document)
    new = workflow_id or new_id()

    async def work(tx: Tx) -> None:
        await workflows.add(tx, new, definition.name, to_wire(definition), owner)

    await engine.db.transact(work)
    return new


async def update_workflow(engine: Engine, workflow_id: UUID, document: JsonValue) -> None:
    """Stores a next version; runs that are under way keep theirs.

    Raises NotFound, InvalidDefinition; InvalidInput when the document names another project than its own.
    """
    named = _named_project(document)
    async with engine.db.connection() as tx:
        owner = await workflows.project(tx, workflow_id)
    definition = checked(await knowing_stored(engine, document, owner), document)

    async def work(tx: Tx) -> None:
        if named is not None and await workflows.project(tx, workflow_id) not in (None, named):
            problem = Problem("project", f"the workflow is not in {named}", "create it there as a new one")
            raise InvalidInput("A workflow stays in its project", [problem])
        if not await workflows.add_version(tx, workflow_id, definition.name, to_wire(definition)):
            raise NotFound("Workflow not found")

    await engine.db.transact(work)


def _named_project(document: JsonValue) -> str | None:
    """The project beside a definition's nodes, if there is one. Raises InvalidInput."""
    named = document.get("project") if isinstance(document, dict) else None
    if named is None or isinstance(named, str):
        return None if named is None else require_project(named)
    raise InvalidInput("The project's name is not valid", [Problem("project", "is no text", PROJECT_RULE)])


async def delete_workflow(engine: Engine, workflow_id: UUID, is_forced: bool = False) -> list[Dispatch]:
    """Deletes a workflow with all its runs; returns what to tell the queue and the workers.

    Raises NotFound; WrongState while a run is active. If it is forced, the runs are cancelled first; it does
    not wait for their `finally` nodes.
    """
    stops = await _cancel_runs(engine, workflow_id) if is_forced else []

    async def work(tx: Tx) -> None:
        await workflows.lock(tx, workflow_id)
        if not is_forced and await runs.has_active(tx, workflow_id):
            raise WrongState("The workflow has active runs; cancel them first, or delete it by force")
        if not await workflows.delete(tx, workflow_id):
            raise NotFound("Workflow not found")

    await engine.db.transact(work)
    return stops


async def _cancel_runs(engine: Engine, workflow_id: UUID) -> list[Dispatch]:
    async with engine.db.transaction() as tx:
        active = await workflows.active_runs(tx, workflow_id)
    dispatches: list[Dispatch] = []
    for run_id in active:
        with suppress(NotFound, WrongState):  # it has just ended, or somebody else cancels it
            dispatches += await cancel_run(engine, run_id)
    return [one for one in dispatches if isinstance(one, Stop | Withdraw)]
