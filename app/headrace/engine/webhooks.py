"""Webhooks: keep them, and start a run for each delivery that shows what it must."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import Final, TypedDict
from uuid import UUID

from headrace.engine.control import cancel_all
from headrace.engine.program import Engine
from headrace.engine.required import found, require_workflow
from headrace.engine.sealing import Seal
from headrace.engine.start import StartRequest, start_within
from headrace.errors import InvalidInput, NotAuthentic, NotFound, Problem, WrongState
from headrace.graph import webhook as rules
from headrace.graph.dispatch import Dispatch
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.template import Scope, resolve, unknown_roots
from headrace.store import webhooks
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.webhooks import Endpoint, Webhook

_NO_WEBHOOK: Final = "Webhook not found"
_KNOWN: Final = ("payload", "headers", "timestamp", "trigger_type")
"""What a mapping can name."""

_TAKEN: Final = "Another webhook has this path"


class Changes(TypedDict, total=False):
    """What to change of a webhook. secret: sealed; None for one that believes everybody."""

    workflow_id: UUID
    secret: bytes | None
    filters: JsonObject
    mapping: JsonValue
    tolerance: float | None
    is_active: bool


async def create_webhook(engine: Engine, endpoint: Endpoint) -> UUID:
    """Raises NotFound for an unknown workflow, WrongState when the path is taken, InvalidInput."""
    new = new_id()

    async def work(tx: Tx) -> None:
        await _require_sound(tx, endpoint)
        if not await webhooks.add(tx, new, endpoint):
            raise WrongState(_TAKEN)

    await engine.db.transact(work)
    return new


async def change_webhook(engine: Engine, webhook_id: UUID, changes: Changes) -> None:
    """Changes what is given; a webhook's path stays. Raises NotFound, InvalidInput."""

    async def work(tx: Tx) -> None:
        present = found(await webhooks.lock(tx, webhook_id), _NO_WEBHOOK)
        endpoint = replace(present.endpoint, **changes)
        await _require_sound(tx, endpoint)
        await webhooks.replace(tx, webhook_id, endpoint)

    await engine.db.transact(work)


async def delete_webhook(engine: Engine, webhook_id: UUID) -> None:
    """Raises NotFound."""
    async with engine.db.transaction() as tx:
        if not await webhooks.delete(tx, webhook_id):
            raise NotFound(_NO_WEBHOOK)


async def webhook_of(engine: Engine, webhook_id: UUID) -> Webhook:
    """Raises NotFound."""
    async with engine.db.transaction() as tx:
        return found(await webhooks.get(tx, webhook_id), _NO_WEBHOOK)


async def find_webhooks(
    engine: Engine, workflow_id: UUID | None, limit: int, offset: int, project: str | None = None
) -> list[Webhook]:
    """Webhooks of one workflow, of one project's or of all, newest first."""
    async with engine.db.transaction() as tx:
        return await webhooks.find(tx, workflow_id, limit, offset, project)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in. headers: by lower-case name. body: the bytes as they came."""

    headers: Mapping[str, str]
    body: bytes


async def authentic_webhook(engine: Engine, seal: Seal, path: str, delivery: Delivery) -> Webhook:
    """The active webhook with this path, once the delivery has shown that it may use it.

    Raises NotFound, NotAuthentic, and CannotUnseal when this process lacks the key of the webhook's secret.
    """
    async with engine.db.transaction() as tx:
        webhook = found(await webhooks.at(tx, path), _NO_WEBHOOK)
    endpoint = webhook.endpoint
    if not endpoint.is_active:
        raise NotFound(_NO_WEBHOOK)
    told = rules.time_of(delivery.headers) if endpoint.tolerance is not None else None
    if endpoint.tolerance is not None and not rules.is_fresh(told or "", time.time(), endpoint.tolerance):
        raise NotAuthentic("The delivery does not tell its time, or it is too far from now")
    if endpoint.secret is not None:
        signed = rules.signed_bytes(delivery.body, told)
        if not rules.is_signed(seal.open(endpoint.secret), signed, delivery.headers):
            raise NotAuthentic
    return webhook


class Reception(StrEnum):
    """What became of a delivery. duplicate: it had started its run before."""

    TRIGGERED = "triggered"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Received:
    """run_id: None when the delivery was ignored. outdated: runs in whose place this one has begun."""

    reception: Reception
    run_id: UUID | None = None
    dispatches: Sequence[Dispatch] = ()
    outdated: Sequence[UUID] = ()


async def receive(engine: Engine, webhook: Webhook, delivery: Delivery, payload: JsonValue) -> Received:
    """Starts the run of an authentic delivery, unless the filters refuse it or it is known.

    Raises InvalidInput when the workflow refuses the input, MissingReference when the mapping names what the
    payload does not have.
    """
    if not rules.passes(webhook.endpoint.filters, payload):
        return Received(Reception.IGNORED)
    run_input = _run_input(webhook, delivery, payload)
    received = await engine.db.transact(partial(_start, engine, webhook, _keys(webhook, delivery), run_input))
    cancelled = await cancel_all(engine, received.outdated)
    return replace(received, dispatches=[*received.dispatches, *cancelled])


async def _start(
    engine: Engine, webhook: Webhook, keys: Sequence[str], run_input: JsonValue, tx: Tx
) -> Received:
    claim = new_id()
    known = await webhooks.remember(tx, webhook.id, keys, claim) if keys else None
    if known is not None:
        await webhooks.name_run(tx, webhook.id, claim, known)
        return Received(Reception.DUPLICATE, known)
    origin: JsonObject = {"type": "webhook", "webhookId": str(webhook.id), "path": webhook.endpoint.path}
    request = StartRequest(webhook.endpoint.workflow_id, run_input, origin=origin)
    started = await start_within(engine, request, tx)
    if keys:
        await webhooks.name_run(tx, webhook.id, claim, started.run_id)
    return Received(Reception.TRIGGERED, started.run_id, started.dispatches, started.outdated)


def _keys(webhook: Webhook, delivery: Delivery) -> list[str]:
    """What a repetition of this delivery would have too.

    Its id is the sender's word only. Where the time is signed, the same bytes at the same time are the same
    delivery whatever it calls itself, so nobody can play back what they overheard.
    """
    named = rules.delivery_id(delivery.headers)
    keys = [] if named is None else [f"id {sha256(named.encode()).hexdigest()}"]
    told = rules.time_of(delivery.headers)
    if webhook.endpoint.tolerance is not None and told is not None:
        keys.append(f"signed {sha256(rules.signed_bytes(delivery.body, told)).hexdigest()}")
    return keys


def _run_input(webhook: Webhook, delivery: Delivery, payload: JsonValue) -> JsonValue:
    whole: JsonObject = {
        "trigger_type": "webhook",
        "payload": payload,
        "headers": rules.shown(delivery.headers),
        "timestamp": round(time.time() * 1000),
    }
    mapping = webhook.endpoint.mapping
    return whole if mapping is None else resolve(mapping, Scope(whole))


async def _require_sound(tx: Tx, endpoint: Endpoint) -> None:
    wrong = unknown_roots(endpoint.mapping, _KNOWN, "mapping")
    if endpoint.tolerance is not None and endpoint.secret is None:
        unsigned = "a time that nobody signed proves nothing"
        wrong.append(Problem("tolerance", unsigned, "give it a secret too"))
    if wrong:
        raise InvalidInput("The webhook is not valid", wrong)
    await require_workflow(tx, endpoint.workflow_id)
