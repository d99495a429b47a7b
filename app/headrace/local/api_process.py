"""The API as a child process, started again when it dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from headrace.local.address import Address
from headrace.local.child import Child, Terms
from headrace.local.places import restart_delay
from headrace.log import Log

log = Log(__name__)

_COMMAND = [sys.executable, "-P", "-m", "headrace.cli", "api"]
_TERMS = Terms(grace=5.0)
_QUICK_SECONDS = 5.0


class ApiProcess:
    """Serves HTTP at `address` with this environment; `revive` it now and then."""

    def __init__(self, address: Address, env: Mapping[str, str]) -> None:
        self.address = address
        self._env = dict(env)
        self._child = self._start()
        self._died_at: float | None = None
        self._quick_deaths = 0

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """As `Child.poll`."""
        return self._child.poll()

    def is_alive(self) -> bool:
        return self.exit_code is None

    def revive(self) -> None:
        """Starts it again if it has died; after quick deaths in a row only once some time has passed."""
        if self.is_alive():
            return
        now = time.monotonic()
        if self._died_at is None:
            self._note_death(now)
        if now - (self._died_at or now) >= restart_delay(self._quick_deaths):
            self._child = self._start()
            self._died_at = None

    def _note_death(self, now: float) -> None:
        log.warning("death", "the API died", exit_code=self.exit_code)
        self._died_at = now
        self._quick_deaths = self._quick_deaths + 1 if now - self._started < _QUICK_SECONDS else 0

    def _start(self) -> Child:
        self._started = time.monotonic()
        return Child(_COMMAND, self._env, _TERMS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop()
