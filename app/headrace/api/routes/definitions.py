"""Definitions on their way in: checking them without saving, and reading those of other systems."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from headrace.api import documents
from headrace.api.deps import InProject, PlainJson, Shared
from headrace.api.routes.workflows import saved
from headrace.api.schemas import ErrorDetail, ImportedWorkflow, Validation
from headrace.engine import save
from headrace.engine.palette import knowing_stored
from headrace.graph.imports.formats import Format, read_foreign

router = APIRouter(prefix="/workflows", tags=["workflows"])

From = Annotated[Format, Query(description="The system that the definition is from.")]


@router.post("/validate", dependencies=[PlainJson], openapi_extra=documents.OR_YAML)
async def validate_workflow(body: documents.Document, house: Shared, project: InProject = None) -> Validation:
    """Checks a definition without saving it: what is wrong with it, and what of it will surprise."""
    engine = await knowing_stored(house.engine, body, project)
    problems = documents.problems_of(engine, body)
    warnings = [] if problems else await documents.warnings_of(house.engine, body, project=project)
    return Validation(
        valid=not problems,
        problems=list(map(ErrorDetail.of, problems)),
        warnings=list(map(ErrorDetail.of, warnings)),
    )


@router.post("/import", status_code=201, dependencies=[PlainJson], openapi_extra=documents.OR_YAML)
async def import_workflow(
    body: documents.Foreign, house: Shared, format: From, project: InProject = None
) -> ImportedWorkflow:
    """Saves a definition of another system as a new workflow; what has no counterpart here is a problem."""
    imported = read_foreign(format, body)
    # Nodes and edges keep their places, so that problems are told at those in the original.
    with documents.paths_as_sent(body):
        document = documents.read(house.engine, imported.document)
        workflow_id = await save.create_workflow(house.engine, document, project=project)
    answer = (await saved(house, workflow_id, document, body)).model_dump(by_alias=True)
    return ImportedWorkflow.model_validate(answer | {"notes": list(map(ErrorDetail.of, imported.notes))})
