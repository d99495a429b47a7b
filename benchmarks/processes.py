"""Worker processes: on leashes, frozen and let go, and looked at from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.local.child import Child, Terms

ROOT = Path(__file__).parents[1]


class TooSlow(Exception):
    """Something has not come up, or has not ended, within its time, or its process has died."""


@dataclass
class Processes:
    """Some processes with one environment and one log; they end with the block, or with this process."""

    env: Mapping[str, str]
    log: Path
    cwd: Path = ROOT
    children: list[Child] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    def start(self, command: Sequence[str], count: int = 1) -> None:
        for _ in range(count):
            with self.log.open("ab") as log:
                child = Child(command, os.environ | dict(self.env), Terms(grace=5, cwd=self.cwd), log)
            self.children.append(child)
            self._open.callback(child.stop)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self.children]

    def freeze(self) -> None:
        """Stops them where they stand, with their children."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            os.killpg(pid, number)

    def require_alive(self) -> None:
        """Raises TooSlow with the end of the log when one has ended."""
        for child in self.children:
            code = child.poll()
            if code is not None:
                raise TooSlow(f"a process ended with {code}: {self.log_end()}")

    def log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(lines[-6:])[-800:]

    def stop(self) -> None:
        """Ends them all at once, each politely at first."""
        for child in self.children:
            child.let_go()
        self._open.close()
        self.children.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def resident_mb(pid: int) -> float:
    """The resident memory of a process now."""
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(answer.stdout) / 1_024


def peak_mb(pid: int) -> float:
    """The most resident memory that a process ever had; where the system does not say: what it has now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return resident_mb(pid)
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1_024


def say(text: str = "") -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
