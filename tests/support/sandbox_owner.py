"""A process with a sandbox in which a program sleeps; it does not clean up behind it."""

from __future__ import annotations

import asyncio
import sys

from headrace.nodes.lanes import Program, SandboxLimits
from headrace.sandbox.lane import SandboxLane

LIMITS = SandboxLimits(seconds=1000, memory_mb=64, output_bytes=1000)


def command() -> list[str]:
    """How to start it, from any folder."""
    start = f"import sys; sys.path[:0] = {sys.path!r}; from support import sandbox_owner"
    return [sys.executable, "-c", f"{start}; sandbox_owner.main()"]


def main() -> None:
    program = Program("python", "import time\ntime.sleep(1000)")
    asyncio.run(SandboxLane(1).run(program, None, LIMITS))
