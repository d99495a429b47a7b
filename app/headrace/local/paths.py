"""The files that the embedded stack keeps in its data folder."""

from __future__ import annotations

import fcntl
import os
import random
import secrets
import socket
import sys
from pathlib import Path

from headrace.errors import WrongState

# Below the ports that Linux (32768) and macOS (49152) lend to outgoing connections: a port that was ours
# is then still free after a restart.
_PORTS = range(17_000, 30_000)


def make_private(folder: Path) -> None:
    """Makes a folder that nobody else can list; existing folders keep their modes.

    Root's can be passed through, because root's servers run as another user.
    """
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Writes a file with mode 0600; a reader sees the old text or the new one, never half."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def kept_secret(path: Path) -> str:
    """The secret in this file; a new random one, written with mode 0600, if there is none."""
    if not path.exists():
        write_private(path, secrets.token_hex(16))
    return path.read_text()


def kept_port(path: Path) -> int:
    """The port in this file if it is free now, else a free one. `write_private` it once it is in use."""
    try:
        port = int(path.read_text())
    except (FileNotFoundError, ValueError):
        return free_port()
    return port if _is_free(port) else free_port()


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    for port in random.sample(_PORTS, 100):
        if _is_free(port):
            return port
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        return False
    return True


class FolderLock:
    """One process at a time uses a folder; the lock goes with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def take(self) -> None:
        """Raises WrongState, which names the process that has the lock."""
        file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 4096, 0).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise WrongState(f"{self._folder} is in use by {holder}") from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} ({Path(sys.argv[0]).name})\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """No error if the lock is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
