"""Events from outside, and what is done about them."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from headrace.api.deps import Limit, Offset, PlainJson, Shared
from headrace.api.schemas import NOT_FOUND, WRONG_STATE, Body, Deleted, Model
from headrace.engine import handlers
from headrace.engine.handlers import Action, Changes, action_json
from headrace.engine.happenings import Happening, handle
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store.event_handlers import Handler, Rule

router = APIRouter(tags=["events"])

Pattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="The names of the events: exactly this, with `*` for any text.",
        examples=["order.*"],
    ),
]
Condition = Annotated[JsonValue, Field(description="json-logic over `{name, id, data}`; null: always.")]


class EventBody(Body):
    """Something that happened. id: the same again, within a day, does nothing more."""

    name: str = Field(min_length=1, max_length=200, examples=["order.paid"])
    id: str | None = Field(default=None, min_length=1, max_length=200)
    data: JsonValue = None


class HandlerResult(Model):
    """What a handler did. reason: why it failed."""

    handler: str
    status: str = Field(examples=["started", "signalled", "failed"])
    run_id: UUID | None = None
    reason: str | None = None


class EventOut(Model):
    """What an event did: one result for each handler that it concerns."""

    is_new: bool
    results: list[HandlerResult]


class HandlerChange(Body):
    """What to change; what is absent stays."""

    pattern: Pattern = "*"
    condition: Condition = None
    action: Action | None = None
    is_active: bool = True


class NewHandlerBody(Body):
    """A handler to add."""

    name: str = Field(min_length=1, max_length=200, examples=["pay the author"])
    pattern: Pattern
    condition: Condition = None
    action: Action
    is_active: bool = True


class HandlerOut(Model):
    """A handler."""

    id: UUID
    name: str
    pattern: str
    condition: JsonValue
    action: JsonObject
    is_active: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, handler: Handler) -> HandlerOut:
        chosen = {name: getattr(handler.rule, name) for name in Rule.__slots__}
        return cls(**chosen, id=handler.id, created_at=handler.created_at, updated_at=handler.updated_at)


class HandlerList(Model):
    """Handlers by name."""

    items: list[HandlerOut]


@router.post("/events", status_code=201, dependencies=[PlainJson])
async def receive_event(body: EventBody, house: Shared, response: Response) -> EventOut:
    """Does what the handlers of this event say; 200 when its id was known, 422 if it had other data then."""
    handled = await handle(house.engine, Happening(body.name, body.id, body.data))
    await house.push(handled.dispatches)
    if not handled.is_new:
        response.status_code = HTTPStatus.OK
    results = [HandlerResult.model_validate(one) for one in handled.results]
    house.meters.started.inc(sum(handled.is_new and one.status == "started" for one in results))
    return EventOut(is_new=handled.is_new, results=results)


@router.get("/event-handlers")
async def list_handlers(house: Shared, limit: Limit = 100, offset: Offset = 0) -> HandlerList:
    """Handlers by name."""
    found = await handlers.find_handlers(house.engine, limit, offset)
    return HandlerList(items=[HandlerOut.of(one) for one in found])


@router.post("/event-handlers", status_code=201, dependencies=[PlainJson], responses=NOT_FOUND | WRONG_STATE)
async def create_handler(body: NewHandlerBody, house: Shared) -> HandlerOut:
    """Adds a handler; 409 when another has its name."""
    rule = Rule(body.name, body.pattern, body.condition, action_json(body.action), body.is_active)
    return await get_handler(await handlers.create_handler(house.engine, rule), house)


@router.get("/event-handlers/{handler_id}", responses=NOT_FOUND)
async def get_handler(handler_id: UUID, house: Shared) -> HandlerOut:
    """One handler."""
    return HandlerOut.of(await handlers.handler_of(house.engine, handler_id))


@router.put("/event-handlers/{handler_id}", dependencies=[PlainJson], responses=NOT_FOUND)
async def update_handler(handler_id: UUID, body: HandlerChange, house: Shared) -> HandlerOut:
    """Changes what is given of a handler."""
    given: dict[str, object] = {name: getattr(body, name) for name in body.model_fields_set}
    if body.action is not None:
        given["action"] = action_json(body.action)
    else:
        given.pop("action", None)
    await handlers.change_handler(house.engine, handler_id, cast(Changes, given))
    return await get_handler(handler_id, house)


@router.delete("/event-handlers/{handler_id}", responses=NOT_FOUND)
async def delete_handler(handler_id: UUID, house: Shared) -> Deleted:
    """Deletes a handler; the runs that it has started go on."""
    await handlers.delete_handler(house.engine, handler_id)
    return Deleted()
