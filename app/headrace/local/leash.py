"""A leash: a small process that owns one server and stops it when its own parent is gone.

It is run by path, as `python -I -S leash.py TERMS COMMAND...`, so that it starts in milliseconds: standard
library only. Its standard input is a socket to the parent. It writes `<pid> <identity>` of the server there,
and reads until the end of file, which comes when the parent closes the socket, or dies however suddenly.
Then it sends the server its stop signal, and SIGKILL to the server's process group after the grace time.
It exits with the server's status, 128 + n when signal n ended the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

# A copy of the socket may live on in a fork of the parent, so the parent's death is also looked for.
LOOK_AT_PARENT_SECONDS = 1.0


class Terms(TypedDict):
    """What the parent says about its server.

    stop_signal: what asks the server to end. grace: seconds until SIGKILL follows.
    parent: pid of who holds the leash. pid_file: where to write pid and identity, or ''.
    user: the name of the user that runs the server, or '' for the same one.
    """

    stop_signal: int
    grace: float
    parent: int
    pid_file: str
    user: str


def identity(pid: int) -> str:
    """What tells a process from a later one with the same pid; '' when there is no such process.

    A zombie counts as gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _identity_without_proc(pid) if not Path("/proc/self/stat").exists() else ""
    return "" if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def _identity_without_proc(pid: int) -> str:
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C"},
        check=False,
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else "-".join(started.split())


def signal_group(pid: int, number: int) -> None:
    """Signals a process group; one that is already gone is no error."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers PermissionError for a group of zombies.
        return


def main(arguments: list[str]) -> int:
    terms: Terms = json.loads(arguments[0])
    wakeup = _wake_on_signals()
    server = _start(arguments[1:], terms)
    _report(server.pid, terms["pid_file"])
    _wait_for_an_end(server, wakeup, terms["parent"])
    _stop(server, terms)
    # What the server left behind in its group goes with it.
    signal_group(server.pid, signal.SIGKILL)
    status = server.wait()
    if terms["pid_file"]:
        Path(terms["pid_file"]).unlink(missing_ok=True)
    return status if status >= 0 else 128 - status


def _wake_on_signals() -> int:
    """Returns a descriptor that can be read once a child has ended or the leash is asked to end."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return readable


def _start(command: list[str], terms: Terms) -> subprocess.Popen[bytes]:
    user = terms["user"]
    if not user:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    group = pwd.getpwnam(user).pw_gid
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, user=user, group=group, extra_groups=[]
    )


def _report(pid: int, pid_file: str) -> None:
    line = f"{pid} {identity(pid)}\n"
    if pid_file:
        Path(pid_file).write_text(line)
    try:
        os.write(0, line.encode())
    except OSError:
        # The parent is gone already; the end of file says so next.
        return


def _wait_for_an_end(server: subprocess.Popen[bytes], wakeup: int, parent: int) -> None:
    """Returns when the server has ended, the parent is gone or let go, or a signal asks the leash to end."""
    while server.poll() is None and os.getppid() == parent:
        ready, _, _ = select.select([0, wakeup], [], [], LOOK_AT_PARENT_SECONDS)
        if 0 in ready:
            return
        if wakeup in ready and any(number != signal.SIGCHLD for number in os.read(wakeup, 64)):
            return


def _stop(server: subprocess.Popen[bytes], terms: Terms) -> None:
    if server.poll() is None:
        server.send_signal(terms["stop_signal"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(terms["grace"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
