"""Where a node's code runs when it is not async: the lanes that a process offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, TypeVar

from headrace.activities.notes import Hear
from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed

T = TypeVar("T")

Language: TypeAlias = Literal["python", "javascript", "bash"]


@dataclass(frozen=True, slots=True)
class Program:
    """Code that nobody vouches for. entry: the function to call with the payload; None: see the language.

    Without an entry, Python answers with what it returns, else with its `main`, else with its variable
    `result`; JavaScript with its last value. bash runs in no sandbox: only under HEADRACE_UNSAFE_CODE.
    told: what `context()` in Python tells it of its task, see `headrace.nodes.activity_facts`.
    """

    language: Language
    source: str
    entry: str | None = None
    told: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """How much a program may use. seconds: from its start. output_bytes: of its log and output together."""

    seconds: float
    memory_mb: int
    output_bytes: int


PYTHON_LIMITS = SandboxLimits(seconds=30, memory_mb=256, output_bytes=1 << 20)
JAVASCRIPT_LIMITS = SandboxLimits(seconds=0.25, memory_mb=32, output_bytes=256 << 10)


def usual_limits(language: Language) -> SandboxLimits:
    """The limits of a program for which nobody has set others."""
    return JAVASCRIPT_LIMITS if language == "javascript" else PYTHON_LIMITS


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """What a program answered, and the lines that it has written."""

    output: JsonValue
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How far a node is. progress: from 0 to 1, or None. details: JSON for people."""

    progress: float | None
    details: JsonValue = None


class Lanes(Protocol):
    """Runs code beside the loop. Cancel a call and it is over for its caller at once."""

    async def run_sync(self, call: Callable[[], T]) -> T:
        """Calls it in a thread, with the caller's context variables; raises what it raises.

        No thread can be killed: a call that was cancelled runs on, and keeps its thread, until it returns.
        """
        ...

    async def run_isolated(self, function: str, payload: JsonValue, hear: Hear | None = None) -> JsonValue:
        """Calls `module:qualname` with the payload in another process, which is killed when cancelled.

        hear: what takes the notes that the code sends meanwhile, see `headrace.activities.notes`. Raises
        AttemptFailed: with kind ProcessDied for a process that ended before its answer, with BadOutput for an
        answer that is not JSON, and else with the name of the exception's type.
        """
        ...

    async def run_sandboxed(self, program: Program, payload: JsonValue, limits: SandboxLimits) -> Sandboxed:
        """Runs the program in a process that can reach nothing, and is killed when cancelled.

        Raises SandboxFailed: with kind SandboxUnavailable where the kernel cannot do it, with Timeout,
        OutputTooLarge, DiskFull, MemoryError, ProcessDied, BadOutput or SyntaxError, and else with the name
        of the exception's type.
        """
        ...

    def heartbeat(self, task: str, beat: Heartbeat) -> None:
        """Shows how far a task's node is. May be called from any thread; the last one counts."""
        ...


class NoLanes:
    """For processes that run async nodes only: each call raises RuntimeError."""

    async def run_sync(self, call: Callable[[], T]) -> T:
        raise RuntimeError(f"this process has no threads for {call}")

    async def run_isolated(
        self,
        function: str,
        payload: JsonValue,  # noqa: ARG002
        hear: Hear | None = None,  # noqa: ARG002
    ) -> JsonValue:
        raise RuntimeError(f"this process starts no other for {function}")

    def heartbeat(self, task: str, beat: Heartbeat) -> None:
        """Nobody looks."""

    async def run_sandboxed(
        self,
        program: Program,
        payload: JsonValue,  # noqa: ARG002
        limits: SandboxLimits,  # noqa: ARG002
    ) -> Sandboxed:
        raise RuntimeError(f"this process has no sandbox for {program.language}")


NO_LANES = NoLanes()


class AttemptFailed(Exception):
    """Raised by a node's code, it ends the attempt with this failure."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class SandboxFailed(AttemptFailed):
    """A program has no answer. log: the lines that it had written."""

    def __init__(self, failed: Failed, log: tuple[str, ...] = ()) -> None:
        super().__init__(failed)
        self.log = log


def failure_of(error: BaseException) -> Failed:
    """What an attempt ends with whose code raised this."""
    if isinstance(error, AttemptFailed):
        return error.failed
    if isinstance(error, HeadraceError):
        return Failed(error.message, kind=error.code, retryable=False)
    kind = type(error).__name__
    return Failed(f"{kind}: {error}", kind=kind)
