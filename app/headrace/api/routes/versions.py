"""The versions of a workflow: list, read, compare, activate."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import Field

from headrace.api.deps import Limit, Offset, PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, Body, Model, Workflow
from headrace.engine import versions
from headrace.graph.diff import Change, Diff, Kind, Part
from headrace.graph.json_types import JsonValue
from headrace.store.versions import VersionLine

router = APIRouter(
    prefix="/workflows/{workflow_id}/versions", tags=["workflow versions"], responses=NOT_FOUND
)

_GREATEST = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=_GREATEST, description="A version's number.")]


class VersionOut(Model):
    """A version in the list."""

    version: int
    name: str
    is_current: bool
    created_at: datetime

    @classmethod
    def of(cls, line: VersionLine) -> VersionOut:
        return cls(
            version=line.version, name=line.name, is_current=line.is_current, created_at=line.created_at
        )


class ChangeOut(Model):
    """One value that differs. before is null when it was added, after when it was removed."""

    path: str
    kind: Kind
    before: JsonValue
    after: JsonValue

    @classmethod
    def of(cls, change: Change) -> ChangeOut:
        return cls(path=change.path, kind=change.kind, before=change.before, after=change.after)


class PartOut(Model):
    """What differs among the nodes (by id), or among the edges (as `a->b:branch`)."""

    added: list[str]
    removed: list[str]
    changed: dict[str, list[ChangeOut]]

    @classmethod
    def of(cls, part: Part) -> PartOut:
        changed = {name: [ChangeOut.of(one) for one in changes] for name, changes in part.changed.items()}
        return cls(added=list(part.added), removed=list(part.removed), changed=changed)


class DiffOut(Model):
    """What one version has changed since another. settings: of the workflow itself."""

    is_same: bool
    settings: list[ChangeOut]
    nodes: PartOut
    edges: PartOut

    @classmethod
    def of(cls, found: Diff) -> DiffOut:
        return cls(
            is_same=found.is_same,
            settings=[ChangeOut.of(one) for one in found.settings],
            nodes=PartOut.of(found.nodes),
            edges=PartOut.of(found.edges),
        )


class PruneBody(Body):
    """version: no other one than this. dryRun: deletes nothing."""

    version: int | None = Field(None, ge=1, le=_GREATEST)
    dry_run: bool = False


class Pruned(Model):
    """The versions that are gone; of a dry run, those that would be."""

    pruned: list[int]


@router.get("")
async def list_versions(
    workflow_id: UUID, house: Shared, limit: Limit = 100, offset: Offset = 0
) -> list[VersionOut]:
    """A workflow's versions, newest first."""
    lines = await versions.version_lines(house.engine, workflow_id, limit, offset)
    return [VersionOut.of(line) for line in lines]


@router.get("/diff")
async def compare(
    workflow_id: UUID,
    house: Shared,
    before: Annotated[int, Query(alias="from", ge=1, le=_GREATEST, description="The older version.")],
    after: Annotated[int, Query(alias="to", ge=1, le=_GREATEST, description="The newer version.")],
) -> DiffOut:
    """What the version `to` has changed since the version `from`."""
    return DiffOut.of(await versions.compare_versions(house.engine, workflow_id, before, after))


@router.get("/{version}")
async def get_version(workflow_id: UUID, version: Number, house: Shared) -> Workflow:
    """One version as it was saved."""
    return Workflow.of(await versions.version_of(house.engine, workflow_id, version))


@router.post("/prune", dependencies=[PlainJson])
async def prune(workflow_id: UUID, body: PruneBody, house: Shared) -> Pruned:
    """Deletes versions that nothing needs: not current, not newest, in no run, named by no sub-workflow."""
    found = await versions.prune_versions(house.engine, workflow_id, body.version, body.dry_run)
    return Pruned(pruned=found)


@router.post("/{version}/activate")
async def activate(workflow_id: UUID, version: Number, house: Shared) -> Workflow:
    """Makes a version the current one; runs that are under way keep theirs."""
    await versions.activate_version(house.engine, workflow_id, version)
    return await get_version(workflow_id, version, house)
