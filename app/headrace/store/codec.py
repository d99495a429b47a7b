"""JSON on its way into and out of the database."""

from __future__ import annotations

import json
import re
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
