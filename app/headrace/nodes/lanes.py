"""Where a node's code runs when it is not async: the lanes that a process offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed

T = TypeVar("T")


class Lanes(Protocol):
    """Runs code beside the loop. Cancel a call and it is over for its caller at once."""

    async def run_sync(self, call: Callable[[], T]) -> T:
        """Calls it in a thread, with the caller's context variables; raises what it raises.

        No thread can be killed: a call that was cancelled runs on, and keeps its thread, until it returns.
        """
        ...

    async def run_isolated(self, function: str, payload: JsonValue) -> JsonValue:
        """Calls `module:qualname` with the payload in another process, which is killed when cancelled.

        Raises AttemptFailed: with kind ProcessDied for a process that ended before its answer, with
        BadOutput for an answer that is not JSON, and else with the name of the exception's type.
        """
        ...


class NoLanes:
    """For processes that run async nodes only: each call raises RuntimeError."""

    async def run_sync(self, call: Callable[[], T]) -> T:
        raise RuntimeError(f"this process has no threads for {call}")

    async def run_isolated(self, function: str, payload: JsonValue) -> JsonValue:  # noqa: ARG002
        raise RuntimeError(f"this process starts no other for {function}")


NO_LANES = NoLanes()


class AttemptFailed(Exception):
    """Raised by a node's code, it ends the attempt with this failure."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def failure_of(error: BaseException) -> Failed:
    """What an attempt ends with whose code raised this."""
    if isinstance(error, AttemptFailed):
        return error.failed
    if isinstance(error, HeadraceError):
        return Failed(error.message, kind=error.code, retryable=False)
    kind = type(error).__name__
    return Failed(f"{kind}: {error}", kind=kind)
