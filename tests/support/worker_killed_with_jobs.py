"""A worker process that is killed when it has taken jobs from Redis and not yet their tasks in PostgreSQL."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from headrace_worker import task_lane
from headrace_worker.main import run


async def _die(*_: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("alive")


task_lane.take = _die  # type: ignore[assignment]
run()
