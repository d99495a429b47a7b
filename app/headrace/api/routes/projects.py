"""Projects: which there are, and their secrets."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from fastapi import APIRouter
from pydantic import Field, SecretStr

from headrace.api.deps import PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, Body, Deleted, Model
from headrace.engine import reading, secrets
from headrace.engine.sealing import Seal
from headrace.engine.secrets import SecretAt
from headrace.store.secrets import SecretName

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


class SecretBody(Body):
    value: SecretStr


class SecretOut(Model):
    """A secret's name. What it is, nobody is told."""

    name: str
    updated_at: datetime

    @classmethod
    def of(cls, secret: SecretName) -> SecretOut:
        return cls(name=secret.name, updated_at=secret.updated_at)


class SecretList(Model):
    items: list[SecretOut]


@router.get("/{project}/secrets")
async def list_secrets(project: str, house: Shared) -> SecretList:
    """The names of a project's secrets. Needs the role admin."""
    found = await secrets.secret_names(house.engine, project)
    return SecretList(items=[SecretOut.of(one) for one in found])


@router.put("/{project}/secrets/{name}", dependencies=[PlainJson])
async def put_secret(project: str, name: str, body: SecretBody, house: Shared) -> SecretOut:
    """Keeps a secret, in the place of an earlier one. Nodes name it as `${secrets.NAME}`.

    Needs the role admin.
    """
    seal, at = Seal(house.settings.secret_key), SecretAt(project, name)
    return SecretOut.of(await secrets.put_secret(house.engine, seal, at, body.value.get_secret_value()))


@router.delete("/{project}/secrets/{name}", responses=NOT_FOUND)
async def delete_secret(project: str, name: str, house: Shared) -> Deleted:
    """Forgets a secret: nodes that name it fail from now on. Needs the role admin."""
    await secrets.delete_secret(house.engine, SecretAt(project, name))
    return Deleted()
