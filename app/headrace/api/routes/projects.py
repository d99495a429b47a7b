"""Projects: which there are."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import Field

from headrace.api.deps import Shared
from headrace.api.schemas import Model
from headrace.engine import reading

router = APIRouter(prefix="/projects", tags=["projects"])


class ProjectOut(Model):
    """A project. It exists once something is named for it."""

    name: str
    workflows: int
    active_runs: int
    workers: int = Field(description="That run and take its jobs, also those of all projects.")
    own_workers: int = Field(description="Of those, the ones that serve it by name.")


class ProjectList(Model):
    items: list[ProjectOut]


@router.get("")
async def list_projects(house: Shared) -> ProjectList:
    """The projects, by name."""
    return ProjectList(items=[ProjectOut(**asdict(one)) for one in await reading.projects(house.engine)])
