"""A child process on a leash, seen from its parent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headrace.errors import HeadraceError
from headrace.local import leash

# The leash needs a moment after the grace time it gives; past this one it is killed itself.
_LEASH_SECONDS = 5.0


@dataclass(frozen=True)
class Terms:
    """How a child runs and ends.

    stop_signal asks it to end, SIGKILL follows `grace` seconds later. pid_file makes an orphan findable
    (`stop_orphan`). user runs it when the parent is root; '' is the parent's own. cwd is its folder.
    """

    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    pid_file: Path | None = None
    user: str = ""
    cwd: Path | None = None


class Child:
    """Starts `command` on a leash: it ends when it is told to, or when this process ends, even by SIGKILL.

    log takes its stdout and stderr; None leaves them to the parent's.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], terms: Terms, log: IO[bytes] | None = None
    ) -> None:
        self._terms = terms
        self._held, given = socket.socketpair()
        with given:
            self._leash = subprocess.Popen(
                [sys.executable, "-I", "-S", leash.__file__, _wire(terms), *command],
                stdin=given.fileno(),
                stdout=log,
                stderr=log,
                env=dict(env),
                cwd=terms.cwd,
                # Ctrl-C in a terminal is for the parent, which then stops its children in order.
                start_new_session=True,
            )
        self.pid, self._identity = self._read_report(command[0])

    def _read_report(self, program: str) -> tuple[int, str]:
        with self._held.makefile("r") as lines:
            pid, _, identity = lines.readline().strip().partition(" ")
        if not pid:
            self._leash.wait()
            self._held.close()
            raise HeadraceError(f"{program} could not be started")
        return int(pid), identity

    def poll(self) -> int | None:
        """The exit code, -n if signal n ended it, None while it runs."""
        return self._exit_code(self._leash.poll())

    def wait(self, timeout: float | None = None) -> int:
        """The exit code as in `poll`; raises subprocess.TimeoutExpired after `timeout` seconds."""
        code = self._exit_code(self._leash.wait(timeout))
        assert code is not None
        return code

    def _exit_code(self, status: int | None) -> int | None:
        if status is None:
            return None
        self._held.close()
        if status < 0:
            # The leash was killed, so nobody holds the child any more: it goes too.
            _signal_ours(self.pid, self._identity, signal.SIGKILL)
        return status if status <= 128 else 128 - status

    def let_go(self) -> None:
        """Asks the child to end, and does not wait."""
        # An error says that the leash has ended meanwhile.
        with contextlib.suppress(OSError):
            self._held.shutdown(socket.SHUT_RDWR)

    def stop(self) -> int:
        """Asks the child to end, waits, kills it after its grace time, and returns the exit code."""
        self.let_go()
        try:
            return self.wait(self._terms.grace + _LEASH_SECONDS)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            return self.wait()


def _wire(terms: Terms) -> str:
    said: leash.Terms = {
        "stop_signal": terms.stop_signal,
        "grace": terms.grace,
        "parent": os.getpid(),
        "pid_file": str(terms.pid_file.absolute()) if terms.pid_file else "",
        "user": terms.user,
    }
    return json.dumps(said)


def stop_orphan(pid_file: Path, stop_signal: signal.Signals, grace: float = 10.0) -> bool:
    """Stops the process that a dead leash, or one that is just ending, left behind; True if there was one.

    A process is only touched if it is the one that the pid file speaks of, by pid and start time.
    """
    try:
        pid_text, _, identity = pid_file.read_text().strip().partition(" ")
        pid = int(pid_text)
    except (FileNotFoundError, ValueError):
        return False
    found = is_alive(pid, identity)
    if found:
        _end(pid, identity, stop_signal, grace)
    pid_file.unlink(missing_ok=True)
    return found


def is_alive(pid: int, identity: str) -> bool:
    """Whether the process with this pid is still the one that had this identity."""
    return bool(identity) and leash.identity(pid) == identity


def _end(pid: int, identity: str, stop_signal: signal.Signals, grace: float) -> None:
    _signal_ours(pid, identity, stop_signal)
    if not wait_until(lambda: not is_alive(pid, identity), grace):
        _signal_ours(pid, identity, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid, identity), grace)


def _signal_ours(pid: int, identity: str, number: signal.Signals) -> None:
    if is_alive(pid, identity):
        # SIGKILL takes the whole group; a polite request is for the process itself, which knows its own.
        if number is signal.SIGKILL:
            leash.signal_group(pid, number)
        else:
            os.kill(pid, number)


def wait_until(condition: Callable[[], bool], seconds: float, interval: float = 0.01) -> bool:
    """Whether the condition came true within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
