"""Webhooks: their subscriptions, and the addresses that others deliver to."""

from __future__ import annotations

import json
import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from headrace.api.body import plain_json
from headrace.api.deps import House, Limit, Offset, OfProject, PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, WRONG_STATE, Body, Deleted, ErrorBody, Faults, Model
from headrace.engine import webhooks
from headrace.engine.sealing import Seal
from headrace.engine.webhooks import Changes, Delivery, Reception
from headrace.errors import InvalidInput, NotAuthentic, Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.webhooks import Endpoint, Webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._~-]*(/[A-Za-z0-9_-][A-Za-z0-9._~-]*)*")
_UNAUTHORIZED: Faults = {401: {"model": ErrorBody, "description": "The signature is missing or wrong."}}

Secret = Annotated[str | None, Field(min_length=8, max_length=1000)]
Filters = Annotated[
    JsonObject, Field(description="Values that the payload must have, by dotted path; else it is ignored.")
]
Mapping = Annotated[
    JsonValue, Field(description="What the run's input is made from: `${payload.a.b}`, `${headers.x}`.")
]
Tolerance = Annotated[
    float | None,
    Field(
        ge=1, le=86_400, description="How old, in seconds, the signed X-Timestamp may be. Null: not asked."
    ),
]


def _free(path: str) -> str:
    if not _PATH.fullmatch(path):
        hint = "letters, digits and `._~-`, in parts between single slashes; as `shop/orders`"
        raise PydanticCustomError("path", "is no path of a webhook", {"hint": hint})
    if path.partition("/")[0] == "subscriptions":
        raise ValueError("'subscriptions' is where webhooks are kept")
    return path


class NewWebhookBody(Body):
    """A webhook to add. secret: the sender signs with it; it is never shown again."""

    path: Annotated[str, AfterValidator(_free)] = Field(max_length=200, examples=["orders"])
    workflow_id: UUID
    secret: Secret = None
    filters: Filters = Field(default_factory=dict)
    mapping: Mapping = None
    tolerance: Tolerance = None
    is_active: bool = True


class WebhookChange(Body):
    """What to change; what is absent stays."""

    workflow_id: UUID = UUID(int=0)
    secret: Secret = None
    filters: Filters = Field(default_factory=dict)
    mapping: Mapping = None
    tolerance: Tolerance = None
    is_active: bool = True


class WebhookOut(Model):
    """A webhook. hasSecret: deliveries must be signed."""

    id: UUID
    path: str
    url: str = Field(description="Where to deliver to, below this API's address.")
    workflow_id: UUID
    has_secret: bool
    filters: JsonObject
    mapping: JsonValue
    tolerance: float | None
    is_active: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookOut:
        endpoint = webhook.endpoint
        return cls(
            id=webhook.id,
            path=endpoint.path,
            url=f"/webhooks/{endpoint.path}",
            workflow_id=endpoint.workflow_id,
            has_secret=endpoint.secret is not None,
            filters=endpoint.filters,
            mapping=endpoint.mapping,
            tolerance=endpoint.tolerance,
            is_active=endpoint.is_active,
            created_at=webhook.created_at,
            updated_at=webhook.updated_at,
        )


class WebhookList(Model):
    """Webhooks, newest first."""

    items: list[WebhookOut]


class DeliveryOut(Model):
    """What became of a delivery."""

    status: Reception
    run_id: UUID | None
    webhook_path: str = Field(alias="webhook_path")


@router.get("/subscriptions")
async def list_webhooks(
    house: Shared,
    workflow_id: Annotated[UUID | None, Query(alias="workflowId", description="Only of this one.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
    project: OfProject = None,
) -> WebhookList:
    """Webhooks, newest first."""
    found = await webhooks.find_webhooks(house.engine, workflow_id, limit, offset, project)
    return WebhookList(items=[WebhookOut.of(one) for one in found])


@router.post("/subscriptions", status_code=201, dependencies=[PlainJson], responses=NOT_FOUND | WRONG_STATE)
async def create_webhook(body: NewWebhookBody, house: Shared) -> WebhookOut:
    """Adds a webhook; 409 when another has its path."""
    endpoint = Endpoint(
        path=body.path,
        workflow_id=body.workflow_id,
        secret=_sealed(house, body.secret),
        filters=body.filters,
        mapping=body.mapping,
        tolerance=body.tolerance,
        is_active=body.is_active,
    )
    return await get_webhook(await webhooks.create_webhook(house.engine, endpoint), house)


@router.get("/subscriptions/{webhook_id}", responses=NOT_FOUND)
async def get_webhook(webhook_id: UUID, house: Shared) -> WebhookOut:
    """One webhook, without its secret."""
    return WebhookOut.of(await webhooks.webhook_of(house.engine, webhook_id))


@router.put("/subscriptions/{webhook_id}", dependencies=[PlainJson], responses=NOT_FOUND)
async def update_webhook(webhook_id: UUID, body: WebhookChange, house: Shared) -> WebhookOut:
    """Changes what is given of a webhook; `"secret": null` takes its secret away."""
    given: dict[str, object] = {name: getattr(body, name) for name in body.model_fields_set}
    if "secret" in given:
        given["secret"] = _sealed(house, body.secret)
    await webhooks.change_webhook(house.engine, webhook_id, cast(Changes, given))
    return await get_webhook(webhook_id, house)


@router.delete("/subscriptions/{webhook_id}", responses=NOT_FOUND)
async def delete_webhook(webhook_id: UUID, house: Shared) -> Deleted:
    """Deletes a webhook; the runs that it has started go on."""
    await webhooks.delete_webhook(house.engine, webhook_id)
    return Deleted()


@router.post(
    "/{path:path}",
    status_code=201,
    responses=NOT_FOUND
    | _UNAUTHORIZED
    | {200: {"model": DeliveryOut, "description": "Ignored by the filters, or known already."}},
)
async def deliver(
    path: Annotated[str, Path(max_length=200)], request: Request, house: Shared, response: Response
) -> DeliveryOut:
    """Starts a run for a delivery: a JSON body, signed with the webhook's secret if it has one."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = Delivery(headers, await request.body())
    webhook = await webhooks.authentic_webhook(house.engine, Seal(house.settings.secret_key), path, delivery)
    if webhook.endpoint.secret is None and house.settings.api_keys:
        raise NotAuthentic("Where there are API keys, a webhook needs a secret")
    received = await webhooks.receive(house.engine, webhook, delivery, await _payload(request))
    if received.reception is Reception.TRIGGERED:
        house.meters.started.inc()
        await house.push(received.dispatches)
    else:
        response.status_code = HTTPStatus.OK
    return DeliveryOut(status=received.reception, run_id=received.run_id, webhook_path=path)


async def _payload(request: Request) -> JsonValue:
    """The body as JSON. Raises InvalidInput for what is none, or cannot be stored."""
    await plain_json(request)
    try:
        return cast(JsonValue, json.loads(await request.body()))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not valid", [Problem("", "the body is not JSON")]) from error


def _sealed(house: House, secret: str | None) -> bytes | None:
    return None if secret is None else Seal(house.settings.secret_key).seal(secret)
