"""Definitions that are not saved yet: checking them, and reading those of other systems."""

from __future__ import annotations

from fastapi import APIRouter

from headrace.api import documents
from headrace.api.deps import PlainJson, Shared
from headrace.api.schemas import ErrorDetail, Validation

router = APIRouter(prefix="/workflows", tags=["workflows"])


@router.post("/validate", dependencies=[PlainJson], openapi_extra=documents.OR_YAML)
async def validate_workflow(body: documents.Document, house: Shared) -> Validation:
    """Checks a definition without saving it: what is wrong with it, and what of it will surprise."""
    problems = documents.problems_of(house.engine, body)
    warnings = [] if problems else await documents.warnings_of(house.engine, body)
    return Validation(
        valid=not problems,
        problems=list(map(ErrorDetail.of, problems)),
        warnings=list(map(ErrorDetail.of, warnings)),
    )
