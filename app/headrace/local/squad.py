"""Worker processes that a command has started by name, and keeps until it ends."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headrace.local.child import Child, Terms
from headrace.local.supervisor import WORKER_ID, WorkerDeath
from headrace.log import Log

_log = Log(__name__)

RESTART_SECONDS = 1.0


@dataclass
class _Member:
    """One worker after the other. env: what they find in their environment; start_at: of the next one."""

    name: str
    env: Mapping[str, str]
    worker_id: str = ""
    child: Child | None = None
    start_at: float = 0.0
    has_left: bool = False


class Squad:
    """One process of `command` for each name. One that dies is started again a second later.

    One that leaves in order was asked to, and stays away. environments: by name. bury: is told of deaths; it
    must not raise.
    """

    def __init__(
        self,
        command: Sequence[str],
        environments: Mapping[str, Mapping[str, str]],
        terms: Terms,
        bury: Callable[[WorkerDeath], None],
    ) -> None:
        self._command, self._terms, self._bury = command, terms, bury
        self._members = [_Member(name, env) for name, env in environments.items()]

    def tend(self) -> bool:
        """Starts what is to be started; False when all have left. Raises HeadraceError if it cannot."""
        for member in self._members:
            self._look_after(member)
        return not all(member.has_left for member in self._members)

    def stop(self) -> None:
        """Asks all to leave, at once, and returns when they have; kills who takes too long."""
        for member in self._members:
            if member.child:
                member.child.let_go()
        for member in self._members:
            if member.child:
                self._has_ended(member, member.child.stop())

    def _look_after(self, member: _Member) -> None:
        if member.child is not None and (code := member.child.poll()) is not None:
            self._has_ended(member, code)
        if member.child is None and not member.has_left and time.monotonic() >= member.start_at:
            member.worker_id = uuid.uuid4().hex
            member.child = Child(self._command, {**member.env, WORKER_ID: member.worker_id}, self._terms)
            _log.info("start", f"worker {member.name} starts", pid=member.child.pid)

    def _has_ended(self, member: _Member, code: int) -> None:
        assert member.child is not None
        pid, member.child = member.child.pid, None
        member.has_left = code == 0
        if code != 0:
            _log.warning("death", f"worker {member.name} died", pid=pid, exit_code=code)
            self._bury(WorkerDeath(member.worker_id, pid, code))
            member.start_at = time.monotonic() + RESTART_SECONDS
