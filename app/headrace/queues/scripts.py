"""Lua scripts that Redis knows by their SHA-1: their text crosses the wire once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError
from redis.typing import EncodableT

Answers: TypeAlias = list[Any]
"""One a command, of whatever type it answers."""


class Script:
    """A script. It must bear being run twice: what is sent over a connection that breaks is sent again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def add(self, pipeline: Pipeline, keys: Sequence[str], values: Sequence[EncodableT]) -> None:
        """Adds a call to a pipeline that `execute` executes."""
        pipeline.evalsha(self.sha, len(keys), *keys, *values)


def execute(connection: Redis, scripts: Sequence[Script], fill: Callable[[Pipeline], None]) -> Answers:
    """Fills a pipeline and executes it; again, once, when Redis had to be told the scripts first.

    scripts: all that `fill` may use. A Redis that was restarted has forgotten them.
    """
    try:
        return _executed(connection, fill)
    except NoScriptError:
        for script in scripts:
            connection.script_load(script.text)
        return _executed(connection, fill)


def _executed(connection: Redis, fill: Callable[[Pipeline], None]) -> Answers:
    with connection.pipeline(transaction=False) as pipeline:
        fill(pipeline)
        return pipeline.execute()
