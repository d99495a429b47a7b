"""A process that does nothing but fork cells, and see to it that each ends.

It has loaded what cells need, so that a new one is there in a millisecond, and it has seen no secret: its
environment is empty. It runs nobody's code. Its standard input is a socket to its owner, which sends an order
and three sockets for each cell: `life`, which the nursery keeps, `channel` and `out`, which the cell gets.

Closing `life` ends the cell; its end is told there. The end of the standard input ends all.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import NoReturn, cast

from . import cell, preloaded
from .process_tree import adopt_orphans, children_of, follow_parent
from .walls import Walls, give_to_cell, library
from .wire import ORDER, End, Terms, Why, packed

_SOCKETS_OF_A_CELL = 3
_LOOK_AT_FOLDERS_SECONDS = 0.05
_MOST_DISK_BYTES = 16 * 1024 * 1024
_MOST_FILES = 256


@dataclass(slots=True)
class Cell:
    """A running cell. ends_at: on the monotonic clock. why: it is being killed."""

    pid: int
    life: socket.socket
    folder: str
    began: float
    ends_at: float
    why: Why = ""

    def kill(self, why: Why) -> None:
        """And all in its group. It is not reaped yet, so the pid is still its own."""
        self.why = self.why or why
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)


class Nursery:
    """The loop of the process."""

    def __init__(self, woken: int, folder: str) -> None:
        self._folder = folder
        self._orders = socket.socket(fileno=os.dup(0))
        self._cells: dict[int, Cell] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._orders, selectors.EVENT_READ)
        self._woken = woken
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._nothing = os.open(os.devnull, os.O_RDWR)
        self._library = library(folder)
        os.dup2(self._nothing, 0)

    def run(self) -> None:
        """Returns when the owner is gone, or has let go; then nothing of any cell may be left behind."""
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._orders:
                    if not self._take_order():
                        return
                elif key.fileobj == self._woken:
                    if signal.SIGTERM in os.read(self._woken, 4096):
                        return
                else:
                    cast(Cell, key.data).kill("owner")
            self._reap()
            self._look_after()

    def close(self) -> None:
        """Ends all cells."""
        for one in self._cells.values():
            one.kill("owner")
        while self._cells:
            self._reap(0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _patience(self) -> float | None:
        if not self._cells:
            return None
        first = min(one.ends_at for one in self._cells.values())
        return max(0.0, min(first - time.monotonic(), _LOOK_AT_FOLDERS_SECONDS))

    def _take_order(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._orders, ORDER.size, _SOCKETS_OF_A_CELL)
        if not order:
            return False
        seconds, memory, is_safe, has_files = ORDER.unpack(order)
        held, channel, out = descriptors
        walls = Walls(memory, seconds, os.getpid(), has_files, is_safe, self._library)
        life = socket.socket(fileno=held)
        try:
            self._fork(walls, life, (channel, out))
        except OSError:  # no room for a folder or a process: the owner hears that there is no cell
            life.close()
        os.close(channel)
        os.close(out)
        return True

    def _fork(self, walls: Walls, life: socket.socket, given: tuple[int, int]) -> None:
        folder = tempfile.mkdtemp(dir=self._folder)
        if walls.is_safe:
            give_to_cell(folder)
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            cell.live(walls, folder, (self._nothing, *given))
        one = Cell(pid, life, folder, began, began + walls.cpu)
        self._cells[pid] = one
        self._selector.register(life, selectors.EVENT_READ, one)

    def _reap(self, options: int = os.WNOHANG) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := reap_one(options))[0]:
                if one := self._cells.pop(ended[0], None):
                    self._bury(one, os.waitstatus_to_exitcode(ended[1]))
        for pid in set(children_of(os.getpid())) - self._cells.keys():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)  # an orphan of a cell without walls

    def _bury(self, one: Cell, status: int) -> None:
        seconds = time.monotonic() - one.began
        self._selector.unregister(one.life)
        shutil.rmtree(one.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            one.life.sendall(packed(End(status=status, why=one.why, seconds=seconds)))
        one.life.close()

    def _look_after(self) -> None:
        now = time.monotonic()
        for one in self._cells.values():
            if one.ends_at <= now:
                one.kill("time")
            elif _is_too_much(one.folder):
                one.kill("disk")


def reap_one(options: int) -> tuple[int, int]:
    """The pid and status of a child that has ended, as of `os.waitpid`, after killing others of its group.

    Before it is reaped: after that, the number may be another process's. Raises ChildProcessError.
    """
    if not hasattr(os, "waitid"):  # an old Python on macOS, where nothing is walled
        reaped = os.waitpid(-1, options)
        _kill_group(reaped[0])
        return reaped
    found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | options)
    if found is None:
        return 0, 0
    _kill_group(found.si_pid)
    return os.waitpid(found.si_pid, 0)


def _kill_group(leader: int) -> None:
    """leader: 0 for none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if leader:
            os.killpg(leader, signal.SIGKILL)


def _is_too_much(folder: str) -> bool:
    """Cells make no folders, so one look is enough."""
    used = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            with contextlib.suppress(OSError):
                used += entry.stat(follow_symlinks=False).st_blocks * 512
            if count >= _MOST_FILES or used > _MOST_DISK_BYTES:
                return True
    return False


def _wake_on_signals() -> int:
    """A descriptor that can be read when a child has ended, or this process is asked to end."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    return readable


def main(argument: str) -> NoReturn:
    terms = cast(Terms, json.loads(argument))
    woken = _wake_on_signals()
    follow_parent(terms["owner"], signal.SIGTERM)
    adopt_orphans()
    os.environ.clear()  # Python itself has put something there
    sys.path.pop()  # where this package came from
    preloaded.load(terms["javascript"], terms["zones"])
    gc.freeze()  # a collection in a cell need not touch, and so copy, what is shared
    nursery = Nursery(woken, terms["folder"])
    nursery.run()
    nursery.close()
    os._exit(0)
