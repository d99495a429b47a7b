"""What people are asked now: open approvals and questions, and links that decide an approval once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.engine.program import Engine
from headrace.errors import NotFound, WrongState
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.store import asking, family
from headrace.store.asking import Asked


@dataclass(frozen=True, slots=True)
class AskedFilter:
    """Which of them. waits_for: `approval` or `question`. run_id: this run and all below it, None for all."""

    waits_for: str
    run_id: UUID | None = None
    limit: int = 100
    offset: int = 0


async def asked_now(engine: Engine, wanted: AskedFilter) -> Sequence[Asked]:
    """What waits for people, oldest run first."""
    async with engine.db.transaction() as tx:
        run = wanted.run_id
        run_ids = None if run is None else [run, *await family.descendants(tx, run)]
        return await asking.open_ones(tx, wanted.waits_for, run_ids, wanted.limit, wanted.offset)


async def asked_by(engine: Engine, waits_for: str, task: TaskId) -> Asked:
    """What the task asks. Raises NotFound, and WrongState when it does not wait for that now."""
    async with engine.db.transaction() as tx:
        found = await asking.open_one(tx, waits_for, task)
        if found is not None:
            return found
        if await asking.exists(tx, task):
            raise WrongState("It is not waiting any more")
    raise NotFound(f"There is no such {waits_for}")


@dataclass(frozen=True, slots=True)
class Link:
    """What a link decides. delivery: which waiting of the task is meant. by: who it was made for, or ''."""

    task: TaskId
    delivery: int
    option: str
    by: str = ""


_SIZE = 32


def token_of(link: Link, key: bytes) -> str:
    """The link as a text that nobody can make without the key."""
    fields: list[JsonValue] = [str(link.task), link.delivery, link.option, link.by]
    body = json.dumps(fields, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_signature(body, key) + body).decode().rstrip("=")


def read_token(token: str, keys: Sequence[bytes]) -> Link:
    """Reads `token_of` back. Raises NotFound for what none of the keys has signed."""
    try:
        signed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        signed = b""
    signature, body = signed[:_SIZE], signed[_SIZE:]
    if not any(hmac.compare_digest(signature, _signature(body, key)) for key in keys):
        raise NotFound("There is no such link")
    task, delivery, option, by = json.loads(body)
    return Link(TaskId.parse(task), delivery, option, by)


def _signature(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")


async def link_keys(engine: Engine, secrets_given: str) -> list[bytes]:
    """The keys of links: the first signs, all of them are believed.

    They are made from HEADRACE_SECRET_KEY; without it, the database keeps a random one.
    """
    given = [one.strip() for one in secrets_given.split(",") if one.strip()]
    if given:
        return [hashlib.sha256(b"headrace links\0" + one.encode()).digest() for one in given]
    async with engine.db.transaction() as tx:
        return [await asking.signing_key(tx, "links", secrets.token_bytes(_SIZE))]
