"""A workflow's versions: list them, compare two, go back to one."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from headrace.engine.palette import knowing_stored
from headrace.engine.program import Engine
from headrace.engine.save import checked
from headrace.errors import NotFound
from headrace.graph.diff import Diff, diff
from headrace.store import versions, workflows
from headrace.store.db import Tx
from headrace.store.versions import VersionLine
from headrace.store.workflows import StoredWorkflow


async def version_lines(engine: Engine, workflow_id: UUID, limit: int, offset: int) -> list[VersionLine]:
    """A workflow's versions, newest first. Raises NotFound."""
    async with engine.db.transaction() as tx:
        if await workflows.current_version(tx, workflow_id) is None:
            raise NotFound("Workflow not found")
        return await versions.lines(tx, workflow_id, limit, offset)


async def version_of(engine: Engine, workflow_id: UUID, version: int) -> StoredWorkflow:
    """One version as it was saved. Raises NotFound."""
    async with engine.db.transaction() as tx:
        return await _version(tx, workflow_id, version)


async def compare_versions(engine: Engine, workflow_id: UUID, before: int, after: int) -> Diff:
    """What `after` has changed since `before`. Raises NotFound."""
    async with engine.db.transaction() as tx:
        first = await _version(tx, workflow_id, before)
        second = await _version(tx, workflow_id, after)
    return diff(first.definition, second.definition)


async def activate_version(engine: Engine, workflow_id: UUID, version: int) -> None:
    """Makes a version the current one. Runs under way keep theirs; the next save gets a number of its own.

    Raises NotFound, and InvalidDefinition when this version is not valid any more: its node types may have
    changed since it was saved.
    """
    stored = await version_of(engine, workflow_id, version)
    knowing = await knowing_stored(engine, stored.definition, stored.project)
    await engine.db.transact(partial(_activate, knowing, workflow_id, version))


async def _activate(engine: Engine, workflow_id: UUID, version: int, tx: Tx) -> None:
    checked(engine, (await _version(tx, workflow_id, version)).definition)
    await versions.activate(tx, workflow_id, version)


async def prune_versions(
    engine: Engine, workflow_id: UUID, only: int | None = None, is_dry: bool = False
) -> list[int]:
    """Deletes the versions that nothing needs; returns them.

    Kept are the current one, the newest, those that sub-workflow nodes name, and those of runs: of active
    ones because they go on with it, of ended ones because they are read by it. only: no other one than this.
    is_dry: deletes nothing. Raises NotFound.
    """

    async def work(tx: Tx) -> list[int]:
        await workflows.lock(tx, workflow_id)  # no run can begin meanwhile
        if await workflows.current_version(tx, workflow_id) is None:
            raise NotFound("Workflow not found")
        found = [one for one in await versions.unused(tx, workflow_id) if only in (None, one)]
        if found:
            needed = await versions.named(tx, workflow_id)
            found = [one for one in found if one not in needed]
        if not is_dry:
            await versions.delete(tx, workflow_id, found)
        return found

    return await engine.db.transact(work)


async def _version(tx: Tx, workflow_id: UUID, version: int) -> StoredWorkflow:
    found = await workflows.get(tx, workflow_id, version)
    if found is None:
        raise NotFound(f"The workflow has no version {version}")
    return found
