"""What the node types that wait have in common: what woke them, how long they have waited, giving up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import WithJsonSchema

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.graph.settings import Seconds
from headrace.nodes.base import NodeContext

Timeout: TypeAlias = Annotated[Seconds | None, WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
"""Seconds or text as `1h`; None for ever. A form shows a number."""

DONE = "out-done"
TIMEOUT = "out-timeout"


@dataclass(frozen=True, slots=True)
class Received:
    """The signal that woke a node. at: when it was sent, ISO 8601 in UTC."""

    payload: JsonValue
    at: str


def received(context: NodeContext) -> Received | None:
    """None when the node's time had come."""
    match context.wake:
        case {"signal": {"payload": payload, "at": str() as at}}:
            return Received(payload, at)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A wait that came to nothing. kind: of the failure. output: where a timeout branch is drawn."""

    kind: str
    message: str
    output: JsonObject


def give_up(context: NodeContext, end: TimedOut) -> Outcome:
    """Goes the way `out-timeout` if one is drawn; else the node fails."""
    if TIMEOUT not in context.drawn:
        return Failed(end.message, kind=end.kind, retryable=False)
    context.say("timeout", end.message)
    return Done(end.output, frozenset({TIMEOUT}))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a node that waits again and again has waited, in seconds, until it last woke."""

    waited: float = 0.0

    @classmethod
    def of(cls, context: NodeContext) -> Patience:
        """Reads what `pause` wrote.

        A wait whose time had come took at least what it was to take: so it does where a test skips time, and
        where this machine's clock is behind that of the one that parked the task.
        """
        memory = context.memory if isinstance(context.memory, Mapping) else {}
        waited, seconds, since = (_number(memory.get(key)) for key in ("waited", "pause", "since"))
        if not since:
            return cls()
        took = max(0.0, time.time() - since)
        return cls(waited + (max(took, seconds) if context.wake is None else took))

    def pause(self, every: float, timeout: float | None) -> Pause | None:
        """The next wait: no longer than there is time. None when there is none left."""
        if timeout is None:
            return Pause(every, self)
        left = timeout - self.waited
        return Pause(min(every, left), self) if left > 0 else None


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of so many seconds, after those before it."""

    seconds: float
    before: Patience

    def memory(self) -> JsonObject:
        """What the next `Patience.of` reads."""
        return {"waited": self.before.waited, "pause": self.seconds, "since": time.time()}


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
