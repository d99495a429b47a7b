"""An activity: a function with a name, and what the rest of Headrace must know of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias, cast

from headrace.activities.errors import ActivityError, BadInput, Retry
from headrace.activities.options import Defaults
from headrace.activities.signature import Signature
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed

Origin: TypeAlias = Literal["built-in", "package", "project"]
ORIGINS: tuple[Origin, ...] = ("built-in", "package", "project")
"""Later ones go before earlier ones: a project may replace what a package brings."""

LONGEST_WAIT = 366 * 86_400
"""Seconds that `Retry` may ask to wait for the next attempt; more is as much as this."""

Function: TypeAlias = Callable[..., object]


@dataclass(frozen=True)
class Declaration:
    """What is known of an activity where its code is not. origin: who brings it; source: where it stands.

    input_schema: of its parameters. output_schema: of what it returns, None if it does not say.
    """

    name: str
    description: str
    origin: str
    source: str
    input_schema: JsonObject
    output_schema: JsonObject | None = None
    defaults: Defaults = field(default_factory=Defaults)

    def as_json(self) -> JsonObject:
        """For the database; `from_json` reads it."""
        return {
            "name": self.name,
            "description": self.description,
            "origin": self.origin,
            "source": self.source,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "options": self.defaults.as_json(),
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> Declaration:
        return cls(
            name=str(document["name"]),
            description=str(document["description"]),
            origin=str(document["origin"]),
            source=str(document["source"]),
            input_schema=cast(JsonObject, document["inputSchema"]),
            output_schema=cast("JsonObject | None", document["outputSchema"]),
            defaults=Defaults.model_validate(document["options"]),
        )


@dataclass(frozen=True)
class Activity:
    """A function that is an activity.

    file: what to load it from where its module cannot be imported by name. retry_on: classes of exceptions
    that were named in its options.
    """

    declaration: Declaration
    function: Function
    signature: Signature
    file: str | None = None
    retry_on: tuple[type[BaseException], ...] = field(default=())

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def place(self) -> str:
        """`module:qualname`, where the function stands."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(inspect.unwrap(self.function))

    def said_error(self, output: JsonValue) -> Failed | None:
        """The failure that an output says, for an activity with an `error_key`."""
        key = self.declaration.defaults.error_key
        told = output.get(key) if key and isinstance(output, dict) else None
        return Failed(str(told), kind="SaidError", details=output) if told else None

    def failure(self, error: Exception) -> Failed | None:
        """What an exception of its code means; None when it says nothing of its own.

        A subclass of an exception that `retry_on` names counts as that one.
        """
        if isinstance(error, ActivityError):
            return failure_said(error)
        if isinstance(error, BadInput):
            return Failed(str(error), kind="InvalidInput", retryable=False)
        named = next((one for one in self.retry_on if isinstance(error, one)), None)
        return None if named is None else Failed(f"{type(error).__name__}: {error}", kind=named.__name__)


def failure_said(error: ActivityError) -> Failed:
    """What `Fail` and `Retry` mean. Nobody has checked what the code says: a wait may be anything."""
    again = isinstance(error, Retry)
    wait = _wait(error.after) if isinstance(error, Retry) else None
    return Failed(error.message, error.kind, again, error.details, wait, asks_again=again)


def _wait(after: object) -> float | None:
    """Seconds that a database can add to a time; None for what is no wait."""
    if not isinstance(after, int | float) or not after > 0:
        return None
    return float(min(after, LONGEST_WAIT))
