"""What RQ's keys look like, without what differs between any two runs: to compare one worker with another."""

from __future__ import annotations

import re
import time
import zlib
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeAlias

from redis import Redis

Snapshot: TypeAlias = dict[str, str]
"""`<key>`, `<key> expires`, `<key> <field>` -> type, time to live, value."""

_DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_MOMENT = re.compile(r"\d{10}\.\d+")
_EXECUTION = re.compile(r"\b[0-9a-f]{32}\b")
_SAME_SECONDS = 10


def take(connection: Redis) -> Snapshot:
    """All keys but those of maintenance, which comes and goes."""
    names = (key.decode() for key in connection.scan_iter() if b"clean_registries" not in key)
    return dict(line for name in sorted(names) for line in _lines(connection, name))


def differences(one: Snapshot, other: Snapshot) -> dict[str, tuple[str | None, str | None]]:
    """What differs, by line."""
    lines = sorted(one.keys() | other.keys())
    return {line: (one.get(line), other.get(line)) for line in lines if one.get(line) != other.get(line)}


def _lines(connection: Redis, key: str) -> Iterable[tuple[str, str]]:
    name = _EXECUTION.sub("<execution>", key)
    kind = connection.type(key).decode()
    yield name, kind
    ttl = connection.ttl(key)
    yield f"{name} expires", "none" if ttl == -1 else _rounded(ttl)
    for field, value in _content(connection, key, kind):
        yield f"{name} {_EXECUTION.sub('<execution>', field)}", value


def _content(connection: Redis, key: str, kind: str) -> Iterable[tuple[str, str]]:
    match kind:
        case "hash":
            return _fields(connection.hgetall(key))
        case "zset":
            members = connection.zrange(key, 0, -1, withscores=True)
            return [(member.decode(), _score(score)) for member, score in members]
        case "stream":
            entries = connection.xrange(key)
            return [
                (f"{number} {name}", text)
                for number, (_, fields) in enumerate(entries)
                for name, text in _fields(fields)
            ]
        case "set":
            return [(member.decode(), "member") for member in connection.smembers(key)]
        case _:
            return [(kind, repr(connection.lrange(key, 0, -1)))]


def _fields(fields: dict[bytes, bytes]) -> list[tuple[str, str]]:
    return [(name.decode(), _value(name, value)) for name, value in fields.items()]


def _value(name: bytes, value: bytes) -> str:
    if name in (b"ip_address", b"pid"):
        return "<process>"
    if name == b"total_working_time":
        return "<seconds>"
    if name == b"exc_string":
        return zlib.decompress(b64decode(value)).decode().strip().splitlines()[-1]
    if name == b"exc_info":
        return zlib.decompress(value).decode().strip().splitlines()[-1]
    if name == b"data":
        with suppress(zlib.error):  # RQ compresses, and reads what is not
            value = zlib.decompress(value)
        return value.decode()
    text = value.decode()
    return _EXECUTION.sub("<execution>", _MOMENT.sub("<moment>", _DATE.sub("<date>", text)))


def _score(score: float) -> str:
    return str(score) if score in (float("inf"), -1) else _rounded(score - time.time())


def _rounded(seconds: float) -> str:
    return f"about {round(seconds / _SAME_SECONDS) * _SAME_SECONDS} s"
