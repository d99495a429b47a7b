"""The lane of a process for programs that nobody vouches for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headrace.config import load
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed
from headrace.nodes.lanes import Language, Program, Sandboxed, SandboxFailed, SandboxLimits, usual_limits
from headrace.sandbox.answers import checked_of, sandboxed_of
from headrace.sandbox.cell.wire import Request
from headrace.sandbox.checked import Checked
from headrace.sandbox.owner import Ended, Nursery, Order
from headrace.sandbox.support import sandbox_support

_ENGINE_MB = 64
"""Address space of the JavaScript engine itself, which its own limit does not count."""

_WORDS_SECONDS = 0.25
"""Time for the engine to say itself that a script took too long, after its limit."""


class SandboxLane:
    """Runs up to `most` programs at once, each in a process of its own. Lives on one loop.

    allows_unsafe: runs them also where the kernel has no walls for them, and bash, which needs to have none.
    memory_mb: a program that asks for more is refused.
    """

    def __init__(self, most: int, allows_unsafe: bool = False, memory_mb: int = 1024) -> None:
        self._free = asyncio.Semaphore(most)
        self._memory_mb = memory_mb
        self._support = sandbox_support()
        self._allows_unsafe = allows_unsafe
        self._nursery: Nursery | None = None
        self._starting = asyncio.Lock()

    async def run(self, program: Program, payload: JsonValue, limits: SandboxLimits) -> Sandboxed:
        """Raises SandboxFailed; see `Lanes.run_sandboxed`."""
        self._require_walls(program.language)
        self._require_room(limits.memory_mb)
        async with self._free:
            ended = await self._ended(request_for(program, payload, limits, check=False), limits)
        return sandboxed_of(program.language, limits, ended)

    async def check(self, program: Program) -> Checked:
        """What is wrong with a source, and which functions it has."""
        self._require_walls(program.language)
        limits = usual_limits(program.language)
        async with self._free:
            ended = await self._ended(request_for(program, None, limits, check=True), limits)
        return checked_of(program, limits, ended)

    async def close(self) -> None:
        """Kills all that runs."""
        if self._nursery is not None:
            await self._nursery.close()

    def _require_walls(self, language: Language) -> None:
        if self._allows_unsafe:
            return
        if language == "bash":
            reason = "bash has no sandbox, for it starts other programs"
        elif not self._support.is_safe:
            reason = f"this machine has no sandbox: it lacks {' and '.join(self._support.missing)}"
        else:
            return
        message = f"{reason}; HEADRACE_UNSAFE_CODE=1 runs it without"
        raise SandboxFailed(Failed(message, kind="SandboxUnavailable", retryable=False))

    def _require_room(self, wanted: int) -> None:
        if wanted > self._memory_mb:
            message = f"it asks for {wanted} MiB, and HEADRACE_SANDBOX_MEMORY_MB allows {self._memory_mb}"
            raise SandboxFailed(Failed(message, kind="MemoryLimit", retryable=False))

    async def _ended(self, request: Request, limits: SandboxLimits) -> Ended:
        is_safe = self._support.is_safe and request["language"] != "bash"
        order = order_for(request["language"], limits, is_safe)
        try:
            nursery = await self._running()
            try:
                return await nursery.run(order, request, limits.output_bytes)
            except OSError:  # it has died since it was last used
                nursery = await self._running(dead=nursery)
                return await nursery.run(order, request, limits.output_bytes)
        except OSError as error:
            message = f"no sandbox could be started: {error}"
            raise SandboxFailed(Failed(message, kind="ProcessDied")) from None

    async def _running(self, dead: Nursery | None = None) -> Nursery:
        """The nursery, a new one if need be. dead: this one has turned out to be."""
        async with self._starting:
            if self._nursery is not None and (self._nursery is dead or not self._nursery.is_alive):
                await self._nursery.close()
                self._nursery = None
            if self._nursery is None:
                self._nursery = await Nursery.start(self._support.javascript, self._support.zones)
            return self._nursery


@asynccontextmanager
async def opened() -> AsyncIterator[SandboxLane]:
    """A lane for a few programs, outside a worker."""
    settings = load()
    lane = SandboxLane(1, settings.unsafe_code, settings.sandbox_memory_mb)
    try:
        yield lane
    finally:
        await lane.close()


async def check_source(language: Language, source: str, entry: str | None = None) -> Checked:
    """What is wrong with a program, and which functions it has; entry: it must have this one.

    Its Python is only parsed. Its JavaScript is run, for its exports are known no sooner; both in a sandbox.
    Raises SandboxFailed where there is none.
    """
    async with opened() as lane:
        return await lane.check(Program(language, source, entry))


def request_for(program: Program, payload: JsonValue, limits: SandboxLimits, check: bool) -> Request:
    """What is asked of a cell. check: only to look at the program."""
    return Request(
        language=program.language,
        source=program.source,
        entry=program.entry,
        input=payload,
        check=check,
        seconds=limits.seconds,
        memory_mb=limits.memory_mb,
        output_bytes=limits.output_bytes,
        told=dict(program.told) if program.told is not None else None,
    )


def order_for(language: Language, limits: SandboxLimits, is_safe: bool) -> Order:
    """The cell that a program needs. is_safe: with walls."""
    if language == "javascript":
        memory = limits.memory_mb + _ENGINE_MB << 20
        return Order(limits.seconds + _WORDS_SECONDS, memory, is_safe, has_files=False)
    return Order(limits.seconds, limits.memory_mb << 20, is_safe)
