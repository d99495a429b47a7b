"""What a node answers: a closed vocabulary, matched with `assert_never`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from headrace.graph.json_types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Done:
    """The node completed. Of its labelled out-edges, those whose label is in `branches` are open."""

    output: JsonValue
    branches: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. `retryable` is False when another attempt cannot help.

    kind: a short name for machines and for `retryOn`, as `HttpError` or `MissingReference`.
    """

    message: str
    kind: str = "NodeError"
    retryable: bool = True
    details: JsonValue = None

    def as_error(self) -> JsonObject:
        """The error object that handlers see: {type, message, details?}."""
        error: JsonObject = {"type": self.kind, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return error


@dataclass(frozen=True, slots=True)
class Waiting:
    """The task parks as `waiting`, without a job or a worker; `resume()` is called when the wait ends.

    seconds: after how long it wakes, on the database's clock. for_what: shown to people, as `timer`.
    """

    seconds: float
    for_what: str = "timer"


Outcome: TypeAlias = Done | Failed | Waiting
