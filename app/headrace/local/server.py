"""What the embedded servers have in common: a folder, a lock, a password, a port, a log, a life."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.errors import HeadraceError, WrongState
from headrace.local.child import Child, Terms, stop_orphan, wait_until
from headrace.local.paths import FolderLock, kept_port, kept_secret, make_private, write_private
from headrace.log import Log

log = Log(__name__)

_ATTEMPTS = 20
_AGAIN_AFTER_SECONDS = 0.25


class EmbeddedServer(ABC):
    """A database server as a child of this process, with its data under `folder`.

    It listens on 127.0.0.1 with a random password. Port and password stay the same over restarts, as long
    as nobody else takes the port meanwhile.
    """

    name: str
    stop_signal: signal.Signals
    unavailable: type[HeadraceError]
    ready_seconds = 60.0
    # Texts in the log after which another start, perhaps on another port, can help.
    passing_troubles: tuple[str, ...] = ("Address already in use",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.port = 0
        self._child: Child | None = None
        self._lock = FolderLock(self.folder)

    @abstractmethod
    def prepare(self) -> None:
        """Finds the program and makes the data ready; raises InvalidSettings for what a user must mend."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command for `self.port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the running server answers."""

    def terms(self) -> Terms:
        """How the server runs and stops."""
        return Terms(stop_signal=self.stop_signal, pid_file=self.folder / "pid")

    @property
    def password(self) -> str:
        return kept_secret(self.folder / "password")

    @property
    def pid(self) -> int:
        """The pid of the server; raises WrongState when it was not started."""
        if self._child is None:
            raise WrongState(f"the embedded {self.name} is not started")
        return self._child.pid

    def is_alive(self) -> bool:
        """Whether the server's process runs."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Starts the server and returns when it answers.

        Raises WrongState when another process has the folder, InvalidSettings when something is missing or
        does not fit, StoreUnavailable or QueueUnavailable with the end of the log when it does not start.
        """
        make_private(self.folder)
        self._lock.take()
        try:
            if stop_orphan(self.folder / "pid", self.stop_signal):
                log.warning("orphan", f"stopped a {self.name} that its killed owner left behind")
            self.prepare()
            self._launch()
        except BaseException:
            self.stop()
            raise

    def revive(self) -> None:
        """Starts the server again after it died; nothing happens while it lives."""
        if not self.is_alive():
            self._launch()

    def stop(self) -> None:
        """Stops the server in an orderly way, and hard after 10 s; no error if it is not running."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        self._rotate_log()
        for _ in range(_ATTEMPTS):
            self.port = kept_port(self.folder / "port")
            self._child = self._spawn()
            if self._comes_up():
                write_private(self.folder / "port", str(self.port))
                log.info("server", f"{self.name} listens on 127.0.0.1:{self.port}", pid=self.pid)
                return
            if not self._may_try_again():
                break
        raise self.unavailable(f"the embedded {self.name} does not start: {self._log_end()}")

    def _spawn(self) -> Child:
        with open(self._log_path, "ab", opener=_open_private) as output:
            return Child(self.command(), self.environment(), self.terms(), output)

    def environment(self) -> dict[str, str]:
        """The server's environment: nothing of ours changes how it behaves."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

    def _comes_up(self) -> bool:
        wait_until(lambda: not self.is_alive() or self.is_ready(), self.ready_seconds)
        return self.is_alive() and self.is_ready()

    def _may_try_again(self) -> bool:
        if self.is_alive():
            return False
        end = self._log_end()
        passing = any(text in end for text in self.passing_troubles)
        if passing:
            wait_until(lambda: False, _AGAIN_AFTER_SECONDS)
        return passing

    @property
    def _log_path(self) -> Path:
        return self.folder / "server.log"

    def _rotate_log(self) -> None:
        if self._log_path.exists():
            self._log_path.replace(self.folder / "server.log.1")

    def _log_end(self) -> str:
        lines = self._log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-12:])


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
