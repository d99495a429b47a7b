"""JSON on its way into and out of the database."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import cast

from headrace.graph.json_types import JsonValue
from headrace.store.db import BadValue

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of a NUL in JSON text. After one more backslash it is text that only looks like it."""

_UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")


def dump(value: JsonValue) -> str:
    """JSON text; raises BadValue for what JSON or PostgreSQL cannot hold (NaN, lone surrogates, NUL)."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise BadValue(f"the value is not JSON: {error}") from error
    if "\\u0000" in text and _NUL.search(text):
        raise BadValue("the value holds a NUL character, which PostgreSQL cannot store")
    return text


def dump_optional(value: JsonValue) -> str | None:
    """As `dump`, but SQL's NULL for None."""
    return None if value is None else dump(value)


def plain(text: str) -> str:
    """Text as PostgreSQL can store it: what it cannot, NUL and lone surrogates, becomes U+FFFD."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def size_of(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def load(text: object) -> JsonValue:
    """Reads what a jsonb column gave; None for NULL."""
    return None if text is None else cast(JsonValue, json.loads(cast(str, text)))


def as_stored(value: JsonValue) -> JsonValue:
    """The value as it comes back from a jsonb column: keys in jsonb's order, numbers as numeric writes them.

    Source: https://www.postgresql.org/docs/current/datatype-json.html; keys by length, then by their bytes.
    """
    if isinstance(value, dict):
        return {key: as_stored(value[key]) for key in sorted(value, key=_key_order)}
    if isinstance(value, list):
        return [as_stored(one) for one in value]
    if isinstance(value, float):
        # A number without a fraction is written out in full, and there is no negative zero.
        return int(Decimal(repr(value))) if abs(value) >= _WRITTEN_OUT else value + 0.0
    return value


_WRITTEN_OUT = 1e16
"""From here on Python writes a float with an exponent."""


def _key_order(key: str) -> tuple[int, bytes]:
    encoded = key.encode()
    return len(encoded), encoded
