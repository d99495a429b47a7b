"""The embedded stack of one data folder: PostgreSQL and Redis, whichever of them is needed."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.local import leash
from headrace.local.child import is_alive
from headrace.local.paths import FolderLock, make_private, write_private
from headrace.local.postgres import EmbeddedPostgres
from headrace.local.redis import EmbeddedRedis
from headrace.log import Log

log = Log(__name__)

_ANNOUNCEMENT = "stack.json"


@dataclass(frozen=True)
class Running:
    """What a running stack says about itself.

    pid and identity are its owner's; a URL is '' for what the stack does not run itself.
    """

    pid: int
    identity: str
    database_url: str
    redis_url: str
    api_url: str = ""


def read_running(data_dir: Path) -> Running | None:
    """The stack that runs on this data folder; None when there is none, or its owner is dead."""
    try:
        running = Running(**json.loads((data_dir / _ANNOUNCEMENT).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if is_alive(running.pid, running.identity) else None


class EmbeddedStack:
    """Starts what is needed on entry, stops it on exit; it all ends with this process anyway.

    Data, ports and passwords live in `data_dir` and are the same the next time. Entering raises what
    `EmbeddedServer.start` raises, WrongState above all when another process runs a stack there.
    """

    def __init__(self, data_dir: Path, need_postgres: bool, need_redis: bool) -> None:
        self._data_dir = data_dir.absolute()
        self._postgres = EmbeddedPostgres(self._data_dir / "postgres") if need_postgres else None
        self._redis = EmbeddedRedis(self._data_dir / "redis") if need_redis else None
        self._lock = FolderLock(self._data_dir)
        self._open = ExitStack()

    @property
    def database_url(self) -> str:
        """`postgresql://...` of the database `headrace`; '' when PostgreSQL was not asked for."""
        return self._postgres.url() if self._postgres else ""

    @property
    def redis_url(self) -> str:
        """`redis://...`; '' when Redis was not asked for."""
        return self._redis.url() if self._redis else ""

    def __enter__(self) -> Self:
        make_private(self._data_dir)
        self._lock.take()
        with ExitStack() as opening:
            opening.callback(self._lock.release)
            for server in (self._postgres, self._redis):
                if server is not None:
                    opening.enter_context(server)
            opening.callback((self._data_dir / _ANNOUNCEMENT).unlink, missing_ok=True)
            self.announce()
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def announce(self, api_url: str = "") -> None:
        """Tells other commands on this machine where the stack is, and the API once there is one."""
        pid = os.getpid()
        running = Running(pid, leash.identity(pid), self.database_url, self.redis_url, api_url)
        write_private(self._data_dir / _ANNOUNCEMENT, json.dumps(asdict(running)))

    def revive(self) -> list[str]:
        """Starts again whichever server has died, on its old port and data; returns their names.

        Raises StoreUnavailable or QueueUnavailable when one does not come up.
        """
        dead = [server for server in (self._postgres, self._redis) if server and not server.is_alive()]
        for server in dead:
            log.warning("revive", f"{server.name} died: starting it again")
            server.revive()
        return [server.name for server in dead]
