"""What the system knows of a process, read from /proc."""

from __future__ import annotations

import os
import pwd
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from headrace.errors import WrongState

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
_PSEUDO_TERMINALS: Final = range(136, 144)
"""Major numbers of the terminals that windows have."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running process.

    cpu_percent: of one core, since its start; memory_percent: of the machine's; virtual and resident in KiB;
    cpu_seconds: that it has used. state: as `ps` writes it. environment: '' where it may not be read.
    """

    pid: int
    user: str
    cpu_percent: float
    memory_percent: float
    virtual: int
    resident: int
    terminal: str
    state: str
    started_at: datetime
    cpu_seconds: float
    command: tuple[str, ...]
    environment: str

    def said(self, name: str) -> str:
        """What its environment said at its start; '' if nothing."""
        lines = (line.partition("=") for line in self.environment.split("\0"))
        return next((value for key, _, value in lines if key == name), "")


def look_at(pid: int) -> Process | None:
    """The process with this pid; None when none runs. Raises WrongState without /proc."""
    if not (_PROC / "self" / "stat").exists():
        raise WrongState("processes are read from /proc, which this system does not have")
    folder = _PROC / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        command = tuple(os.fsdecode((folder / "cmdline").read_bytes()).rstrip("\0").split("\0"))
        owner = folder.stat().st_uid
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or hidden from us
        return None
    return None if fields[0] in "ZX" else _process(pid, _user(owner), fields, command, _environment(folder))


def _process(pid: int, user: str, fields: list[str], command: tuple[str, ...], environment: str) -> Process:
    """fields: of its line in `stat`, from the third one on; see proc_pid_stat(5)."""
    started_at = _boot_time() + int(fields[19]) / _TICKS
    used = (int(fields[11]) + int(fields[12])) / _TICKS
    resident = int(fields[21]) * _PAGE_KIB
    return Process(
        pid=pid,
        user=user,
        cpu_percent=round(100 * used / max(time.time() - started_at, 0.01), 1),
        memory_percent=round(100 * resident / _memory(), 1),
        virtual=int(fields[20]) // 1024,
        resident=resident,
        terminal=terminal(int(fields[4])),
        state=_state(pid, fields),
        started_at=datetime.fromtimestamp(started_at, UTC),
        cpu_seconds=used,
        command=command,
        environment=environment,
    )


def terminal(device: int) -> str:
    """The name of a terminal by the number of its device; '?' for none."""
    major, minor = os.major(device), os.minor(device)
    if major in _PSEUDO_TERMINALS:
        return f"pts/{minor + 256 * (major - _PSEUDO_TERMINALS.start)}"
    return f"tty{minor}" if major == 4 else "?"


def _state(pid: int, fields: list[str]) -> str:
    """The letter of its state, and what `ps` adds: priority, leader of a session, threads, foreground."""
    nice = int(fields[16])
    added = (
        ("<", nice < 0),
        ("N", nice > 0),
        ("s", int(fields[3]) == pid),
        ("l", int(fields[17]) > 1),
        ("+", fields[2] == fields[5]),
    )
    return fields[0] + "".join(letter for letter, is_so in added if is_so)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _environment(folder: Path) -> str:
    try:
        return os.fsdecode((folder / "environ").read_bytes())
    except OSError:
        return ""


def _boot_time() -> float:
    lines = (_PROC / "stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime "))


def _memory() -> int:
    """Of the machine, in KiB."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE_KIB


class Handle:
    """Holds on to a process: what is signalled through it is that process, and never a later one of its pid.

    Raises ProcessLookupError when there is none.
    """

    def __init__(self, pid: int) -> None:
        self._file = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def send(self, number: signal.Signals) -> None:
        """Raises ProcessLookupError when it has ended, PermissionError when it is somebody else's."""
        signal.pidfd_send_signal(self._file, number)
