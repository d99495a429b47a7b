"""What this process uses, and of which versions it is made."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

from headrace import __version__
from headrace.graph.json_types import JsonObject
from headrace.sandbox.support import sandbox_support

_STATM = Path("/proc/self/statm")
_MIB = 1024 * 1024


class Usage:
    """Measures the processor's time between two questions."""

    def __init__(self) -> None:
        self._asked_at, self._used = time.monotonic(), time.process_time()

    def cpu_percent(self) -> float | None:
        """Of one core, since the last question: 100 is one core all the time. None for no time at all."""
        now, used = time.monotonic(), time.process_time()
        elapsed, spent = now - self._asked_at, used - self._used
        self._asked_at, self._used = now, used
        return round(100 * spent / elapsed, 1) if elapsed > 0 else None


def memory_mb() -> float:
    """Resident memory in MiB; where the system does not say it, the most that it ever was."""
    if _STATM.exists():
        return round(int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB, 1)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (_MIB if sys.platform == "darwin" else 1024), 1)


def versions() -> JsonObject:
    """Of Headrace, Python and RQ; and what there is for sandboxes, which is the kernel's."""
    return {
        "headrace": __version__,
        "python": platform.python_version(),
        "rq": version("rq"),
        "sandbox": sandbox_support().as_json(),
    }
