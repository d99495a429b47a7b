"""A process with lanes of its own: its child hangs with a grandchild, and it does not clean up behind it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from headrace_worker.isolated_pool import IsolatedPool
from headrace_worker.threads import ThreadLane
from support.misbehaving import named, with_a_grandchild


def command(doing: str, *arguments: str) -> list[str]:
    """How to start it, from any folder. doing: the name of one of this module's coroutines."""
    start = f"import sys; sys.path[:0] = {sys.path!r}; import asyncio; from support import lanes_owner"
    return [sys.executable, "-c", f"{start}; asyncio.run(lanes_owner.{doing}(*{arguments!r}))"]


async def hang_in_a_child(file: str) -> None:
    """Does not end by itself; a fork of it, too, holds what it holds."""
    pool = IsolatedPool(1, memory_mb=512)
    await pool.run("support.misbehaving:pid", None)
    if (fork := os.fork()) == 0:
        threading.Event().wait()
    print(fork, *pool.pids, flush=True)
    await pool.run(named(with_a_grandchild), {"file": file, "then": "hang"})


async def leave_a_stuck_thread() -> None:
    """Ends although the code in its thread never does."""
    lane = ThreadLane(1)
    running = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stick() -> None:
        loop.call_soon_threadsafe(running.set)
        threading.Event().wait()

    stuck = asyncio.create_task(lane.run(stick))
    await running.wait()
    stuck.cancel()
    await asyncio.wait({stuck})
    lane.close()
    print("left", lane.abandoned, flush=True)
