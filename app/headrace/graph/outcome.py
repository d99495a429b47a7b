"""What a node answers: a closed vocabulary, matched with `assert_never`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.states import RunStatus


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a node ends its run."""

    status: RunStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The node completed. Of its labelled out-edges, those whose label is in `branches` are open.

    verdict: it also ends the run: what has not ended is cancelled.
    """

    output: JsonValue
    branches: frozenset[str] = frozenset()
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. `retryable` is False when another attempt cannot help.

    kind: a short name for machines and for `retryOn`, as `HttpError` or `MissingReference`. retry_after: the
    fewest seconds until the next attempt, if whoever refused this one said so. asks_again: the code itself
    wants another attempt, whatever `retryOn` says.
    """

    message: str
    kind: str = "NodeError"
    retryable: bool = True
    details: JsonValue = None
    retry_after: float | None = None
    asks_again: bool = False

    def as_error(self) -> JsonObject:
        """The error object that handlers see: {type, message, details?}."""
        error: JsonObject = {"type": self.kind, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return error


@dataclass(frozen=True, slots=True)
class Waiting:
    """The task parks as `waiting`, without a job or a worker; `resume()` is called when the wait ends.

    seconds: after how long it wakes, on the database's clock; None: only what it waits for wakes it.
    for_what: shown to people, as `timer`. signal: the name of the signal that wakes it, or None.
    memory: what the node wants to know again in `resume()`.
    """

    seconds: float | None
    for_what: str = "timer"
    signal: str | None = None
    memory: JsonValue = None


@dataclass(frozen=True, slots=True)
class Child:
    """A run to start on behalf of a task.

    index: its place among the task's children, over all batches. workflow: the id or the name of another
    workflow, version: of it (None: the current one); without them, the child runs the `body` of this task's
    own node.
    """

    index: int
    input: JsonValue
    workflow: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Spawned:
    """The task waits until all these children have ended; then `resume()` is called.

    at_once: how many of them may run together. tolerated: how many may fail; one more, and those that have
    not ended are cancelled. is_detached: nobody waits: the task completes at once and its output is
    `{runId}`. abandons: a cancel of this task leaves them alone. seconds: it wakes after that long at the
    latest. memory: what the node wants to know again in `resume()`.
    """

    children: Sequence[Child]
    at_once: int = 1
    tolerated: int = 0
    is_detached: bool = False
    abandons: bool = False
    seconds: float | None = None
    memory: JsonValue = None


@dataclass(frozen=True, slots=True)
class Held:
    """The engine's own answer for a task over a limit: it begins later. No node answers so.

    held_for: the limit, for people. seconds: when it may try again; None: when somebody gives way.
    """

    held_for: str
    seconds: float | None = None


Outcome: TypeAlias = Done | Failed | Waiting | Spawned | Held
