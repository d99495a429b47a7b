"""Activities: what there is, and those that are kept in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from headrace.api.deps import PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, WRONG_STATE, Body, Deleted, Model
from headrace.api.source_check import look
from headrace.engine import activities, activity_reading
from headrace.engine.activities import Upload, Uploaded
from headrace.engine.activity_reading import Described, Read
from headrace.engine.declared import load_problems
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT, PROJECT_PATTERN
from headrace.store.stored_activities import Version

router = APIRouter(prefix="/activities", tags=["activities"])
settings_router = APIRouter(prefix="/projects/{project}/settings", tags=["activities"])

Name = Annotated[str, Path(max_length=64, description="An activity's name.")]
Hash = Annotated[str, Field(min_length=8, max_length=64, description="A version's hash, or how it begins.")]
Project = Annotated[str, Query(pattern=PROJECT_PATTERN, description="Whose activities.")]
ProjectName = Annotated[str, Path(pattern=PROJECT_PATTERN, description="A project's name.")]
Force = Annotated[bool, Query(description="Although workflows use it, or runs that go on.")]


class VersionOut(Model):
    """A version. hash: SHA-256 of what it runs. exports: the functions of its source."""

    hash: str
    language: str
    entry: str
    exports: list[str]
    input_schema: JsonObject
    is_active: bool
    created_by: str | None
    created_at: datetime
    activated_at: datetime | None

    @classmethod
    def of(cls, version: Version) -> VersionOut:
        return cls(
            hash=version.hash,
            language=version.language,
            entry=version.entry,
            exports=list(version.exports),
            input_schema=version.input_schema,
            is_active=version.is_active,
            created_by=version.created_by,
            created_at=version.created_at,
            activated_at=version.activated_at,
        )


class ActivityLine(Model):
    """An activity in the list.

    origin: who brings it: built-in, package, project or stored. used_by: workflows whose current version
    names it. workers: how many that live can run it, not_seen_since: no worker that has it was heard of since
    then, which is more than a day ago, source: the module, file or package with its code,
    output_schema, options: as it was declared, of one that workers bring. active, versions: of one that
    is stored; active is null when no version was activated yet.
    """

    name: str
    origin: str
    description: str = ""
    input_schema: JsonObject
    used_by: list[str]
    workers: int | None = None
    not_seen_since: datetime | None = None
    source: str | None = None
    output_schema: JsonObject | None = None
    options: JsonObject | None = None
    active: VersionOut | None = None
    versions: int = 0
    updated_at: datetime | None = None

    @classmethod
    def of(cls, found: Described) -> ActivityLine:
        stored, declared, used_by = found.stored, found.declared, list(found.used_by)
        if declared is not None:
            return cls(
                name=declared.name,
                origin=declared.origin,
                description=declared.description,
                input_schema=declared.input_schema,
                used_by=used_by,
                workers=found.workers,
                not_seen_since=found.not_seen_since,
                source=declared.source,
                output_schema=declared.output_schema,
                options=declared.defaults.as_json(),
            )
        assert stored is not None
        return cls(
            name=stored.name,
            origin="stored",
            input_schema=stored.active.input_schema if stored.active else {},
            used_by=used_by,
            active=None if stored.active is None else VersionOut.of(stored.active),
            versions=stored.versions,
            updated_at=stored.updated_at,
        )


class LoadProblemOut(Model):
    """A module with activities that a worker that runs could not import. hint: what would help, or ''."""

    module: str
    origin: str
    message: str
    hint: str


class ActivityList(Model):
    items: list[ActivityLine]
    problems: list[LoadProblemOut]


class ActivityOut(VersionOut):
    """A stored activity: one of its versions, with its source."""

    name: str
    origin: str = "stored"
    source: str
    versions: int

    @classmethod
    def read(cls, found: Read) -> ActivityOut:
        facts = VersionOut.of(found.version).model_dump()
        return cls(**facts, name=found.stored.name, source=found.source, versions=found.stored.versions)


class UploadBody(Body):
    """A source. entry: the function to call; without it, the one named as the activity, or the only one.

    activate: new runs use it from now on.
    """

    language: Literal["python", "javascript"]
    source: str
    entry: str | None = Field(None, max_length=200)
    activate: bool = True
    by: str | None = Field(None, max_length=200, description="Who uploads it, for people.")


class UploadedOut(Model):
    """What became of an upload. is_new: there was no version with this content yet."""

    name: str
    hash: str
    is_new: bool
    is_active: bool

    @classmethod
    def of(cls, done: Uploaded) -> UploadedOut:
        return cls(name=done.name, hash=done.hash, is_new=done.is_new, is_active=done.is_active)


class VersionList(Model):
    items: list[VersionOut]


class ActivateBody(Body):
    hash: Hash


class ActiveOut(Model):
    """Which version new runs use from now on."""

    name: str
    hash: str


class SettingsBody(Body):
    """activitiesTrusted: stored Python activities run in a process of their own, without a sandbox."""

    activities_trusted: bool


class SettingsOut(Model):
    activities_trusted: bool


@router.get("")
async def list_activities(house: Shared, project: Project = DEFAULT_PROJECT) -> ActivityList:
    """A project's activities by name, stored ones and those that workers bring, with what uses them."""
    items = [ActivityLine.of(one) for one in await activity_reading.find(house.engine, project)]
    problems = [LoadProblemOut.model_validate(one) for one in await load_problems(house.engine)]
    return ActivityList(items=items, problems=problems)


@router.put("/{name}", dependencies=[PlainJson], responses=WRONG_STATE)
@router.post("/{name}", dependencies=[PlainJson], responses=WRONG_STATE)
async def upload_activity(
    name: Name, body: UploadBody, house: Shared, project: Project = DEFAULT_PROJECT
) -> UploadedOut:
    """Keeps a source as a version of an activity. The same content again is no new version."""
    wanted = Upload(name, body.language, body.source, body.entry, body.activate, body.by, project)
    done = await activities.upload(house.engine, wanted, look)
    await house.push(done.dispatches)
    return UploadedOut.of(done)


@router.get("/{name}", responses=NOT_FOUND)
async def get_activity(
    name: Name,
    house: Shared,
    hash: Annotated[str | None, Query(description="Of another version than the active one.")] = None,
    project: Project = DEFAULT_PROJECT,
) -> ActivityOut:
    """A stored activity with the source of its active version, or of another one."""
    return ActivityOut.read(await activity_reading.read(house.engine, name, hash, project))


@router.get("/{name}/versions", responses=NOT_FOUND)
async def list_versions(name: Name, house: Shared, project: Project = DEFAULT_PROJECT) -> VersionList:
    """The versions that are kept, newest first."""
    found = await activity_reading.versions(house.engine, name, project)
    return VersionList(items=[VersionOut.of(one) for one in found])


@router.post("/{name}/activate", dependencies=[PlainJson], responses=NOT_FOUND)
async def activate(
    name: Name, body: ActivateBody, house: Shared, project: Project = DEFAULT_PROJECT
) -> ActiveOut:
    """Makes a version the one that new runs use; runs under way keep theirs."""
    done = await activities.activate(house.engine, name, body.hash, project)
    await house.push(done.dispatches)
    return ActiveOut(name=name, hash=done.hash)


@router.post("/{name}/rollback", responses=NOT_FOUND | WRONG_STATE)
async def roll_back(name: Name, house: Shared, project: Project = DEFAULT_PROJECT) -> ActiveOut:
    """Makes the version active that was active before; a second time undoes the first."""
    return ActiveOut(name=name, hash=await activities.roll_back(house.engine, name, project))


@router.delete("/{name}", responses=NOT_FOUND | WRONG_STATE)
async def delete_activity(
    name: Name, house: Shared, force: Force = False, project: Project = DEFAULT_PROJECT
) -> Deleted:
    """Deletes an activity with its versions; 409 while something uses it, unless it is forced."""
    await activities.delete(house.engine, name, force, project)
    return Deleted()


@settings_router.get("")
async def get_settings(project: ProjectName, house: Shared) -> SettingsOut:
    """What an administrator has decided for the project."""
    return SettingsOut(activities_trusted=await activity_reading.is_trusted(house.engine, project))


@settings_router.put("", dependencies=[PlainJson])
async def change_settings(project: ProjectName, body: SettingsBody, house: Shared) -> SettingsOut:
    """Trusts the project's stored activities, or does so no longer. Needs the role admin."""
    await activity_reading.set_trusted(house.engine, body.activities_trusted, project)
    return await get_settings(project, house)
