"""`python -m headrace_worker.isolate TERMS`: a child of a worker that runs isolated code.

It is two processes. The guard is the one that the worker starts. It runs nobody's code, so it always hears
when the worker is gone, or has let go of it. The other, forked while there is no thread yet, runs the code.
When that ends, or the worker does, all that the code has started ends with it. The guard's own end tells the
worker how the code's process ended: by the same exit code, or by the same signal.

The worker holds the guard by its standard input, a pipe: the end of file says that it let go.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import NoReturn, cast

from headrace.sandbox.cell.process_tree import adopt_orphans, follow_parent, kill_descendants
from headrace_worker.isolated_code import serve
from headrace_worker.isolated_wire import Terms

_LEASH = 0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)


def main(argument: str) -> NoReturn:
    """Never returns: the guard ends as the code's process did."""
    terms = cast(Terms, json.loads(argument))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(2, 1)  # what code prints goes where the worker's log goes
    woken = _wake_on_signals()
    follow_parent(terms["worker"], signal.SIGTERM)
    adopt_orphans()
    guard = os.getpid()
    code = os.fork()
    if code == 0:
        _become_code(guard, terms)
    os.close(terms["channel"])
    status = _watch(code, woken)
    kill_descendants()
    if status is None:
        os.killpg(0, signal.SIGKILL)  # where descendants cannot be listed; this process is in its group
    _end_as(status or 0)


def _wake_on_signals() -> int:
    """A descriptor that can be read when a child has ended or this process is asked to end."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    return readable


def _become_code(guard: int, terms: Terms) -> NoReturn:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    follow_parent(guard, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _LEASH)
    sys.path[:] = terms["path"]
    channel = socket.socket(fileno=terms["channel"])
    channel.set_inheritable(False)
    with contextlib.suppress(OSError, MemoryError):  # the worker is gone, or there is no room to say so
        serve(channel, terms["memory"])
    os._exit(1)


def _watch(code: int, woken: int) -> int | None:
    """The status of the code's process when it has ended; None when nobody wants it any more."""
    while True:
        ready, _, _ = select.select([_LEASH, woken], [], [])
        if _LEASH in ready or signal.SIGTERM in os.read(woken, 64):
            return None
        status = _reaped(code)
        if status is not None:
            return status


def _reaped(code: int) -> int | None:
    """Reaps what has ended, orphans that were adopted too."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == code:
            found = status


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        signal.set_wakeup_fd(-1)
        if (number := os.WTERMSIG(status)) != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(sys.argv[1])
