"""The walls around a cell. Each alone would leave holes that another one closes."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import zoneinfo
from dataclasses import dataclass
from pathlib import Path

from . import landlock, seccomp
from .kernel import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from .process_tree import follow_parent

NOBODY = 65534
MOST_FILE_BYTES = 8 * 1024 * 1024
MOST_OPEN_FILES = 64
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Walls:
    """memory: bytes of address space beyond what this process has. cpu: seconds, rounded up.

    nursery: pid of the parent, whose end is the cell's. has_files: it may read the interpreter's files and
    write its own folder, which is the current one. is_safe: False leaves out what only Linux has.
    library: the descriptor that `library` gave.
    """

    memory: int
    cpu: float
    nursery: int
    has_files: bool
    is_safe: bool
    library: int


def enter(walls: Walls) -> None:
    """After this, code that nobody vouches for may run here. Raises OSError: then it must not."""
    _limit(walls)
    _be_the_first_to_go()
    if not walls.is_safe:
        follow_parent(walls.nursery, signal.SIGKILL)
        return
    # While it is still root, which may look into more folders.
    rules = landlock.rules(_readable(), ".") if walls.has_files else landlock.rules([], None)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    follow_parent(walls.nursery, signal.SIGKILL)  # after the change of the user, which would undo it
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(walls.library)
    landlock.restrict(rules)
    seccomp.restrict(walls.has_files)


def library(folder: str) -> int:
    """Rules of Landlock for all cells together, on top of which each has its own; -1 where there is none.

    What is installed may lie below the library: so this goes by the library's entries one by one, which takes
    too long to be done for each cell. folder: where the cells have theirs. Raises OSError.
    """
    if not landlock.version():
        return -1
    made = landlock.rules([], folder)
    for one in _readable():
        landlock.allow_to_list(made, one)
        landlock.allow_to_read(made, _entries(one))
    return made


def give_to_cell(folder: str) -> None:
    """Gives a folder to the user that its cell becomes."""
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)


def _limit(walls: Walls) -> None:
    cpu = int(walls.cpu) + 2
    limits = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_FSIZE: MOST_FILE_BYTES,
        resource.RLIMIT_NOFILE: MOST_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = _address_space() + walls.memory
        limits[resource.RLIMIT_MEMLOCK] = 0
    if walls.is_safe:
        limits[resource.RLIMIT_NPROC] = 0
    for kind, most in limits.items():
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def _be_the_first_to_go() -> None:
    """Where the machine runs out of memory, the kernel kills this process, and not the worker."""
    with contextlib.suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


def _address_space() -> int:
    """Bytes that this process has mapped already."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _entries(folder: str) -> list[str]:
    """What is in a folder, but for the packages that somebody installed there."""
    return [str(one) for one in Path(folder).iterdir() if one.name not in _INSTALLED and one.exists()]


def _readable() -> list[str]:
    """Where the interpreter's own modules are (`-I -S` leaves no others on the path), and the time zones."""
    return [folder for folder in (*sys.path, *zoneinfo.TZPATH) if Path(folder).is_dir()]
