"""The lanes of one process for code that is not async: threads, child processes, and sandboxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from headrace.activities.notes import Hear
from headrace.config import Settings
from headrace.graph.ids import TaskId
from headrace.graph.json_types import JsonValue
from headrace.nodes.lanes import Heartbeat, Program, Sandboxed, SandboxLimits
from headrace.sandbox.lane import SandboxLane
from headrace_worker.heartbeats import Heartbeats
from headrace_worker.isolated_pool import IsolatedPool
from headrace_worker.threads import ThreadLane

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerLanes:
    """What `headrace.nodes.lanes.Lanes` asks for. Nothing is started before it is needed."""

    threads: ThreadLane
    processes: IsolatedPool
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    sandboxes: SandboxLane = field(default_factory=partial(SandboxLane, most=1))

    @classmethod
    def of(cls, settings: Settings) -> WorkerLanes:
        """As large as the settings say."""
        return cls(
            ThreadLane(settings.worker_threads),
            IsolatedPool(settings.isolated_processes, settings.isolated_memory_mb),
            sandboxes=SandboxLane(settings.sandboxes, settings.unsafe_code, settings.sandbox_memory_mb),
        )

    async def run_sync(self, call: Callable[[], T]) -> T:
        """See `ThreadLane.run`."""
        return await self.threads.run(call)

    async def run_isolated(self, function: str, payload: JsonValue, hear: Hear | None = None) -> JsonValue:
        """See `IsolatedPool.run`."""
        return await self.processes.run(function, payload, hear)

    def heartbeat(self, task: str, beat: Heartbeat) -> None:
        """Shown within a second, see `Leases`."""
        self.heartbeats.add(TaskId.parse(task), beat)

    async def run_sandboxed(self, program: Program, payload: JsonValue, limits: SandboxLimits) -> Sandboxed:
        """See `SandboxLane.run`."""
        return await self.sandboxes.run(program, payload, limits)

    async def close(self) -> None:
        """Kills the child processes, and waits for no thread."""
        self.threads.close()
        await self.processes.close()
        await self.sandboxes.close()
