"""The settings that nodes and workflows have beside their config: clocks, retries, joins, limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Annotated, Literal, NoReturn

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from headrace.errors import BadExpression
from headrace.graph.join import Losers, parse_join
from headrace.graph.json_types import JsonObject
from headrace.graph.retry import RetryPolicy

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|seconds?|minutes?|hours?|days?)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: object) -> object:
    """Reads `30s`, `5 minutes`, `1h` or a number of seconds; the type's own check judges the number."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        unit = match[2] if match[2] == "ms" else match[2][0]
        return float(match[1]) * _SECONDS[unit]
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else _no()
    except ValueError:
        return _no()


def _no() -> NoReturn:
    hint = {"hint": "seconds, or text as `500ms`, `30s`, `5m`, `1h`, `2d`"}
    raise PydanticCustomError("duration", "is no length of time", hint)


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=366 * 86400)]


class Strict(BaseModel):
    """camelCase on the wire; unknown keys are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class OnFailure(StrEnum):
    """What an unhandled failure does to the rest of its run."""

    FINISH_BRANCHES = "finish_branches"
    FAIL_FAST = "fail_fast"
    PAUSE = "pause"


class Priority(IntEnum):
    """Which of the queued tasks goes first. Names and numbers are both read."""

    LOW = 1
    NORMAL = 5
    HIGH = 10
    CRITICAL = 20


def _priority(value: object) -> object:
    given = Priority.__members__.get(value.upper(), value) if isinstance(value, str) else value
    if given not in list(Priority):
        known = ", ".join(f"{one.name} ({one.value})" for one in Priority)
        raise PydanticCustomError("priority", "is no priority", {"hint": f"known: {known}"})
    return given


PriorityValue = Annotated[Priority, BeforeValidator(_priority)]


_STRATEGIES: Mapping[str, JsonObject] = {
    "keep-trying": {"maxAttempts": 1_000_000, "initial": 1, "max": 3600, "multiplier": 2},
    "fail-after-x": {"maxAttempts": 3},
    "exponential-backoff": {"maxAttempts": 5, "initial": 1, "max": 3600, "multiplier": 2},
}
"""Strategies that other systems name, by what they mean; all grow exponentially."""


class Retry(Strict):
    """How often and when a failed attempt is repeated. Times are seconds, or text as `30s`.

    Also read are the strategies `keep-trying`, `fail-after-x` and `exponential-backoff`.
    """

    max_attempts: int = Field(3, ge=1, le=1_000_000)
    strategy: Literal["none", "fixed", "linear", "exponential"] = "exponential"
    initial: Seconds = 1.0
    multiplier: float = Field(2.0, ge=1, le=1000)
    max: Seconds = 3600.0
    jitter: bool = True
    retry_on: frozenset[str] = frozenset()
    no_retry_on: frozenset[str] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _read_names(cls, value: object) -> object:
        named = _STRATEGIES.get(str(value.get("strategy"))) if isinstance(value, dict) else None
        if named is None or not isinstance(value, dict):
            return value
        return {**named, **value, "strategy": "exponential"}

    def policy(self) -> RetryPolicy:
        """The same, for the retry arithmetic."""
        return RetryPolicy(**self.model_dump())


class Timeouts(Strict):
    """How long a node may take, in seconds or as `30s`.

    queue: standing in the queue. attempt: one attempt. total: all attempts with the waits between them.
    """

    queue: Seconds | None = None
    attempt: Seconds = 300.0
    total: Seconds | None = None


class Concurrency(Strict):
    """At most `limit` executions with this key at once. key: a template; without it, the node's (or the
    workflow's) own.
    """

    limit: int = Field(ge=1, le=1_000_000)
    key: str = Field("", max_length=500)


class RunConcurrency(Concurrency):
    """At most `limit` runs with this key at once. on_limit: what becomes of one more."""

    on_limit: Literal["queue", "skip", "cancel_oldest"] = "queue"


class Rate(Strict):
    """`count` executions with this key in `per`, and bursts of as many. key: a template, else its own."""

    count: int = Field(ge=1, le=1_000_000)
    per: Seconds
    key: str = Field("", max_length=500)


class Cache(Strict):
    """A result is used again for the same input, for `ttl`. key: a template, instead of the whole input."""

    ttl: Seconds
    key: str = Field("", max_length=2000)


class JoinSetting(Strict):
    """A join: the text of its rule, or with options `{rule: any_success, onLosers: cancel}`."""

    rule: str
    on_losers: Losers = Losers.LET_RUN

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: object) -> object:
        return {"rule": value} if isinstance(value, str) else value

    @field_validator("rule")
    @classmethod
    def _rule_is_known(cls, value: str) -> str:
        try:
            parse_join(value)
        except BadExpression as error:
            raise ValueError(error.message) from error
        return value

    @model_serializer
    def _as_short_as_possible(self) -> str | dict[str, str]:
        if self.on_losers is Losers.LET_RUN:
            return self.rule
        return {"rule": self.rule, "onLosers": self.on_losers.value}
