"""The workers of a project: started, stopped and restarted by saying what is wanted.

Whoever supervises worker processes follows; PostgreSQL keeps the wish and what came of it. So two starts at
once are one, and no process that dies forgets anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from headrace.engine.program import Engine
from headrace.errors import HeadraceError
from headrace.store import worker_targets, workers
from headrace.store.db import Tx

_LOOK_SECONDS = 0.1


class NobodyFollows(HeadraceError):
    """The wish stands, but no supervisor has fulfilled it in time."""

    code = "NobodyFollows"


async def start(engine: Engine, project: str, seconds: float) -> None:
    """Returns when at least one worker of the project runs. Raises NobodyFollows after so many seconds."""
    await engine.db.transact(partial(worker_targets.want_one, project=project))
    await _until(engine, partial(_runs, project), seconds, f"no worker of project {project} runs")


async def stop(engine: Engine, project: str, seconds: float) -> None:
    """Returns when no worker of the project is left: each finishes, or hands back, what it has begun.

    Raises NobodyFollows after so many seconds.
    """
    await engine.db.transact(partial(worker_targets.set_target, count=0, project=project))
    await _until(engine, partial(_is_gone, project), seconds, f"a worker of project {project} still runs")


async def restart(engine: Engine, project: str, seconds: float) -> None:
    """Returns when a new process serves the project; those from before drain meanwhile.

    Raises NobodyFollows after so many seconds.
    """
    asked = await engine.db.transact(partial(worker_targets.want_one, project=project, is_restart=True))
    has_come = partial(workers.count_new, project=project, asked=asked)
    await _until(engine, has_come, seconds, f"no new worker of project {project} runs")


async def is_running(engine: Engine, project: str) -> bool:
    """Whether a healthy worker serves the project."""
    return await engine.db.transact(partial(_runs, project))


async def _runs(project: str, tx: Tx) -> bool:
    return await workers.count_running(tx, project) > 0


async def _is_gone(project: str, tx: Tx) -> bool:
    return await workers.count_active(tx, project) == 0


async def _until(
    engine: Engine, holds: Callable[[Tx], Awaitable[bool | int]], seconds: float, otherwise: str
) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await engine.db.transact(holds):
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError as error:
        text = (
            f"{otherwise} after {seconds:g} s; it is noted what is wanted, but nobody supervises its workers"
        )
        raise NobodyFollows(text) from error
