"""Workflows: list, save, read, delete."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from headrace.api import documents
from headrace.api.deps import House, InProject, Limit, Offset, OfProject, PlainJson, Shared
from headrace.api.schemas import (
    NOT_FOUND,
    WRONG_STATE,
    Deleted,
    ErrorDetail,
    SavedWorkflow,
    Workflow,
    WorkflowLine,
    milliseconds,
)
from headrace.engine import reading, save
from headrace.graph.json_types import JsonObject

router = APIRouter(prefix="/workflows", tags=["workflows"])

Force = Annotated[bool, Query(description="Cancel its active runs first.")]


@router.get("")
async def list_workflows(
    house: Shared, limit: Limit = 1000, offset: Offset = 0, project: OfProject = None
) -> list[WorkflowLine]:
    """Workflows, last changed first."""
    lines = await reading.workflow_lines(house.engine, limit, offset, project)
    return [
        WorkflowLine(
            id=line.id,
            name=line.name,
            project=line.project,
            version=line.version,
            updated_at=milliseconds(line.updated_at),
        )
        for line in lines
    ]


@router.post("", status_code=201, dependencies=[PlainJson], openapi_extra=documents.OR_YAML)
async def create_workflow(
    body: documents.Document, house: Shared, project: InProject = None
) -> SavedWorkflow:
    """Saves a new workflow, in the wire form or in the flat form, bare or under `workflow`.

    Its project may also stand in the body, as `project`.
    """
    with documents.paths_as_sent(body):
        document = documents.read(house.engine, body)
        workflow_id = await save.create_workflow(house.engine, document, project=project)
    return await saved(house, workflow_id, body)


@router.get("/{workflow_id}", responses=NOT_FOUND)
async def get_workflow(workflow_id: UUID, house: Shared) -> Workflow:
    """A workflow's current version."""
    return Workflow.of(await reading.workflow(house.engine, workflow_id))


@router.put("/{workflow_id}", dependencies=[PlainJson], responses=NOT_FOUND, openapi_extra=documents.OR_YAML)
async def update_workflow(workflow_id: UUID, body: documents.Document, house: Shared) -> SavedWorkflow:
    """Saves a next version; runs that are under way keep theirs."""
    with documents.paths_as_sent(body):
        await save.update_workflow(house.engine, workflow_id, documents.read(house.engine, body))
    return await saved(house, workflow_id, body)


async def saved(
    house: House, workflow_id: UUID, body: JsonObject, sent: JsonObject | None = None
) -> SavedWorkflow:
    """The answer to a workflow that was just saved from this body. sent: what the client wrote instead."""
    stored = Workflow.of(await reading.workflow(house.engine, workflow_id))
    warnings = await documents.warnings_of(house.engine, body, sent, stored.project)
    told = {"warnings": list(map(ErrorDetail.of, warnings))}
    return SavedWorkflow.model_validate(stored.model_dump(by_alias=True) | told)


@router.delete("/{workflow_id}", responses=NOT_FOUND | WRONG_STATE)
async def delete_workflow(workflow_id: UUID, house: Shared, force: Force = False) -> Deleted:
    """Deletes a workflow with its runs; 409 while one of them is active, unless it is forced."""
    await house.push(await save.delete_workflow(house.engine, workflow_id, force))
    return Deleted()
