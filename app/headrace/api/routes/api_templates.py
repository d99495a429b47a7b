"""API templates: ready-made settings of apiCall nodes for the editor."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from headrace.api.deps import PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, Body, Model
from headrace.errors import NotFound
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import templates
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.templates import NewTemplate, Template

router = APIRouter(prefix="/api-templates", tags=["API templates"])


class TemplateChange(Body):
    """What to change; what is absent stays."""

    name: str = Field("", min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    provider: str = Field("custom", min_length=1, max_length=100)
    category: str = Field("custom", min_length=1, max_length=100)
    method: str = Field("GET", pattern="^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)$")
    url: str = Field("", min_length=1, max_length=10_000)
    headers: list[JsonObject] = Field(default_factory=list)
    body_template: str | None = None
    parameters: list[JsonObject] = Field(default_factory=list)
    timeout_ms: int = Field(10_000, ge=1, le=3_600_000)
    expected_status_codes: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default_factory=lambda: [200, 201, 202, 204]
    )
    sample_response: JsonValue = None
    documentation: str | None = None
    tags: list[str] = Field(default_factory=list)


class NewTemplateBody(TemplateChange):
    """A template to add."""

    name: str = Field(min_length=1, max_length=200, examples=["Create ticket"])
    url: str = Field(min_length=1, max_length=10_000, examples=["https://api.example.com/tickets"])


class TemplateOut(Model):
    """A template. is_custom: not one of those that come with Headrace."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    name: str
    description: str
    provider: str
    category: str
    method: str
    url: str
    is_active: bool
    is_custom: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, template: Template) -> TemplateOut:
        facts: dict[str, object] = {
            "id": template.id,
            "createdAt": template.created_at,
            "updatedAt": template.updated_at,
        }
        return cls.model_validate(template.body | facts)


class Success(Model):
    success: bool = True


Filter = Annotated[str | None, Query(max_length=100)]


@router.get("")
async def list_templates(
    house: Shared, provider: Filter = None, category: Filter = None
) -> list[TemplateOut]:
    """Templates by provider, category and name."""
    async with house.engine.db.transaction() as tx:
        return [TemplateOut.of(one) for one in await templates.find(tx, provider, category)]


@router.get("/grouped")
async def group_templates(house: Shared) -> dict[str, dict[str, list[TemplateOut]]]:
    """The same, by provider and then category."""
    grouped: dict[str, dict[str, list[TemplateOut]]] = defaultdict(lambda: defaultdict(list))
    for one in await list_templates(house):
        grouped[one.provider][one.category].append(one)
    return grouped


@router.get("/{template_id}", responses=NOT_FOUND)
async def get_template(template_id: UUID, house: Shared) -> TemplateOut:
    """One template."""
    async with house.engine.db.transaction() as tx:
        return TemplateOut.of(_found(await templates.get(tx, template_id)))


@router.post("", status_code=201, dependencies=[PlainJson])
async def create_template(body: NewTemplateBody, house: Shared) -> TemplateOut:
    """Adds a template of one's own."""
    document = body.model_dump(by_alias=True) | {"isActive": True, "isCustom": True}
    new = _row(new_id(), document)

    async def work(tx: Tx) -> None:
        await templates.add(tx, new)

    await house.engine.db.transact(work)
    return await get_template(new.id, house)


@router.put("/{template_id}", dependencies=[PlainJson], responses=NOT_FOUND)
async def update_template(template_id: UUID, body: TemplateChange, house: Shared) -> TemplateOut:
    """Changes what is given of a template."""
    changes = body.model_dump(by_alias=True, exclude_unset=True)

    async def work(tx: Tx) -> None:
        present = _found(await templates.lock(tx, template_id))
        await templates.replace(tx, _row(template_id, present.body | changes))

    await house.engine.db.transact(work)
    return await get_template(template_id, house)


@router.delete("/{template_id}", responses=NOT_FOUND)
async def delete_template(template_id: UUID, house: Shared) -> Success:
    """Hides a template; a shipped one does not come back with the next start."""
    async with house.engine.db.transaction() as tx:
        if not await templates.hide(tx, template_id):
            raise NotFound("API template not found")
    return Success()


def _found(template: Template | None) -> Template:
    if template is None:
        raise NotFound("API template not found")
    return template


def _row(template_id: UUID, document: JsonObject) -> NewTemplate:
    provider, category, name = (str(document[key]) for key in ("provider", "category", "name"))
    return NewTemplate(template_id, provider, category, name, document)
