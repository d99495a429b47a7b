"""What a webhook's delivery must show before it starts anything. Headers come with lower-case names."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from headrace.graph.coercion import MISSING
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.template import lookup

SIGNATURES: Final = ("x-signature", "x-hub-signature-256", "x-webhook-signature", "signature")
DELIVERY_IDS: Final = ("idempotency-key", "x-delivery-id", "x-github-delivery")
TIMES: Final = ("x-timestamp", "x-webhook-timestamp")

_SCHEME = "sha256="
_SECRETS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", *SIGNATURES})


def is_signed(secret: str, signed: bytes, headers: Mapping[str, str]) -> bool:
    """Whether one of the signature headers has the hexadecimal HMAC-SHA256 of these bytes.

    The time that this takes does not depend on how much of a signature is right.
    """
    wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
    given = [headers[name] for name in SIGNATURES if name in headers]
    texts = [one.strip().removeprefix(_SCHEME).lower().encode() for one in given]
    return any(hmac.compare_digest(text, wanted) for text in texts)


def signed_bytes(body: bytes, time: str | None) -> bytes:
    """What the sender signs: the raw body; if it tells the time, that and a dot before it."""
    return body if time is None else time.encode() + b"." + body


def time_of(headers: Mapping[str, str]) -> str | None:
    """The time that the sender tells, as it stands there."""
    return _first(headers, TIMES)


def is_fresh(time: str, now: float, tolerance: float) -> bool:
    """Whether a time, in seconds since 1970, is at most so many seconds away from now."""
    try:
        return abs(float(time) - now) <= tolerance
    except ValueError:
        return False


def delivery_id(headers: Mapping[str, str]) -> str | None:
    """The sender's name for this delivery: the same again is no new one."""
    return _first(headers, DELIVERY_IDS)


def shown(headers: Mapping[str, str]) -> JsonObject:
    """The headers that a run may see: neither keys nor signatures."""
    return {name: value for name, value in headers.items() if name not in _SECRETS}


def passes(filters: Mapping[str, JsonValue], payload: JsonValue) -> bool:
    """Whether the payload has all the values that the filters ask for, by dotted path."""
    return all(_equals(lookup(path, payload), value) for path, value in filters.items())


def _equals(found: object, wanted: JsonValue) -> bool:
    """As JSON tells values apart: `true` is not `1`."""
    return found is not MISSING and found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((headers[name] for name in names if headers.get(name)), None)
