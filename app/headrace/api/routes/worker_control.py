"""Starting and stopping a project's workers, with the answers that Temporal's worker service gave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from headrace.api.deps import House, Shared
from headrace.api.schemas import Faults, Model
from headrace.engine import crews
from headrace.engine.program import Engine
from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonValue
from headrace.graph.project import PROJECT_RULE, is_project

router = APIRouter(prefix="/workers", tags=["workers"])

START_SECONDS: Final = 20.0
"""How long an answer waits for a worker to come."""

_FAREWELL_SECONDS = 10.0
"""How long a worker may take to leave, after its grace time."""

_Act: TypeAlias = Callable[[Engine, str, float], Awaitable[None]]


class ProjectStatus(Model):
    """Whether a project has a worker that runs and is healthy. status: running or stopped."""

    project_id: str
    status: str
    is_running: bool


class Acted(Model):
    """It is done."""

    success: bool = True
    message: str


class Refused(Model):
    """The request is not valid."""

    error: str


class NotDone(Model):
    """It could not be done in time; the wish stands."""

    success: bool = False
    error: str


_FAULTS: Faults = {400: {"model": Refused}, 500: {"model": NotDone}}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"projectId": {"type": "string"}},
                    "required": ["projectId"],
                }
            }
        },
    }
}


@router.post("/start", response_model=Acted, responses=_FAULTS, openapi_extra=_BODY)
async def start_workers(request: Request, house: Shared) -> JSONResponse:
    """Sees that a project has a worker, and answers when it runs. Two starts at once are one."""
    return await _act(request, house, crews.start, "started", START_SECONDS)


@router.post("/stop", response_model=Acted, responses=_FAULTS, openapi_extra=_BODY)
async def stop_workers(request: Request, house: Shared) -> JSONResponse:
    """Lets a project's workers finish or hand back what they do, and answers when they are gone."""
    return await _act(request, house, crews.stop, "stopped", house.settings.grace_seconds + _FAREWELL_SECONDS)


@router.post("/restart", response_model=Acted, responses=_FAULTS, openapi_extra=_BODY)
async def restart_workers(request: Request, house: Shared) -> JSONResponse:
    """Replaces a project's workers by new processes, with new code, and answers when the first one runs."""
    return await _act(request, house, crews.restart, "restarted", START_SECONDS)


@router.get("/status/{project_id}")
async def project_status(project_id: str, house: Shared) -> ProjectStatus:
    """Whether a project has a worker."""
    runs = is_project(project_id) and await crews.is_running(house.engine, project_id)
    return ProjectStatus(project_id=project_id, status="running" if runs else "stopped", is_running=runs)


async def _act(request: Request, house: House, act: _Act, done: str, seconds: float) -> JSONResponse:
    project = await _project(request)
    if not isinstance(project, str) or not project:
        return JSONResponse({"error": "projectId is required"}, HTTPStatus.BAD_REQUEST)
    if not is_project(project):
        text = f"projectId may have {PROJECT_RULE}"
        return JSONResponse({"error": text}, HTTPStatus.BAD_REQUEST)
    try:
        await act(house.engine, project, seconds)
    except HeadraceError as error:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return JSONResponse({"success": False, "error": error.message}, status)
    return JSONResponse({"success": True, "message": f"Worker {done} for project {project}"})


async def _project(request: Request) -> JsonValue:
    try:
        body: JsonValue = await request.json()
    except (ValueError, RecursionError):
        return None
    return body.get("projectId") if isinstance(body, dict) else None
