"""Event handlers as people keep them. `engine.happenings` acts on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal, TypeAlias, TypedDict
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic import JsonValue as AnyJson
from pydantic.alias_generators import to_camel

from headrace.engine.program import Engine
from headrace.engine.required import found, require_workflow
from headrace.errors import InvalidInput, NotFound, Problem, WrongState
from headrace.graph.json_logic import check
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.template import unknown_roots
from headrace.store import event_handlers
from headrace.store.db import Tx
from headrace.store.event_handlers import Handler, Rule
from headrace.store.ids import new_id

_NO_HANDLER: Final = "Event handler not found"
_KNOWN: Final = ("name", "id", "data")
"""What templates of an action can name."""


class _Action(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )


class StartWorkflow(_Action):
    """Starts a run. input: made from the event, as `${data.order}`; null for the whole event."""

    type: Literal["start_workflow"]
    workflow_id: UUID
    input: AnyJson = None


class SendSignal(_Action):
    """Completes a wait. run_id: which run's, as `${data.runId}`. payload: null for the event's data."""

    type: Literal["signal"]
    run_id: str = Field(max_length=1000)
    signal: str = Field(min_length=1, max_length=255)
    node_id: str | None = None
    payload: AnyJson = None


Action: TypeAlias = Annotated[StartWorkflow | SendSignal, Field(discriminator="type")]
_ACTION: TypeAdapter[Action] = TypeAdapter(Action)


class Changes(TypedDict, total=False):
    """What to change of a handler."""

    pattern: str
    condition: JsonValue
    action: JsonObject
    is_active: bool


def action_of(rule: Rule) -> Action:
    """The action as it was checked when it was stored."""
    return _ACTION.validate_python(rule.action)


def action_json(action: Action) -> JsonObject:
    """The action as it is stored."""
    written: JsonObject = action.model_dump(mode="json", by_alias=True)
    return written


async def create_handler(engine: Engine, rule: Rule) -> UUID:
    """Raises WrongState when the name is taken, NotFound for an unknown workflow, InvalidInput."""
    new = new_id()

    async def work(tx: Tx) -> None:
        await _require_sound(tx, rule)
        if not await event_handlers.add(tx, new, rule):
            raise WrongState("Another event handler has this name")

    await engine.db.transact(work)
    return new


async def change_handler(engine: Engine, handler_id: UUID, changes: Changes) -> None:
    """Changes what is given; the name stays. Raises NotFound, InvalidInput."""

    async def work(tx: Tx) -> None:
        present = found(await event_handlers.lock(tx, handler_id), _NO_HANDLER)
        rule = replace(present.rule, **changes)
        await _require_sound(tx, rule)
        await event_handlers.replace(tx, handler_id, rule)

    await engine.db.transact(work)


async def delete_handler(engine: Engine, handler_id: UUID) -> None:
    """Raises NotFound."""
    async with engine.db.transaction() as tx:
        if not await event_handlers.delete(tx, handler_id):
            raise NotFound(_NO_HANDLER)


async def handler_of(engine: Engine, handler_id: UUID) -> Handler:
    """Raises NotFound."""
    async with engine.db.transaction() as tx:
        return found(await event_handlers.get(tx, handler_id), _NO_HANDLER)


async def find_handlers(engine: Engine, limit: int, offset: int) -> list[Handler]:
    """Handlers by name."""
    async with engine.db.transaction() as tx:
        return await event_handlers.find(tx, limit, offset)


async def _require_sound(tx: Tx, rule: Rule) -> None:
    action = action_of(rule)
    wrong = [
        *(
            Problem("condition", f"unknown operator '{name}'", "an operator of json-logic")
            for name in check(rule.condition)
        ),
        *unknown_roots(action_json(action), _KNOWN, "action"),
    ]
    if wrong:
        raise InvalidInput("The event handler is not valid", wrong)
    if isinstance(action, StartWorkflow):
        await require_workflow(tx, action.workflow_id)
