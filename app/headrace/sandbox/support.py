"""What this machine has for sandboxes."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from headrace.graph.json_types import JsonObject
from headrace.sandbox.cell import landlock, seccomp


@dataclass(frozen=True, slots=True)
class SandboxSupport:
    """landlock: the version of the kernel's interface, 0 for none. seccomp: it filters system calls.

    javascript: the file of the engine, '' where it is not installed. zones: the folder of the time zones that
    came with Python's packages, or ''.
    """

    landlock: int
    seccomp: bool
    javascript: str
    zones: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether code that nobody vouches for can be run here."""
        return not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """What the kernel lacks, in words."""
        found = {"Landlock (Linux 5.13)": self.landlock, "seccomp on x86_64 or aarch64": self.seccomp}
        return tuple(name for name, there in found.items() if not there)

    def as_json(self) -> JsonObject:
        """For people who look at a worker."""
        return {
            "safe": self.is_safe,
            "missing": list(self.missing),
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "javascript": bool(self.javascript),
        }


def sandbox_support() -> SandboxSupport:
    """Asks the kernel; cheap enough to do each time."""
    zones = importlib.util.find_spec("tzdata")
    engine = importlib.util.find_spec("_quickjs")
    return SandboxSupport(
        landlock=landlock.version(),
        seccomp=seccomp.is_supported(),
        javascript=(engine.origin or "") if engine else "",
        zones=str(Path(zones.origin).parent / "zoneinfo") if zones and zones.origin else "",
    )
