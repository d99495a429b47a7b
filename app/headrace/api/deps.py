"""What the endpoints work with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Query, Request
from pydantic import AfterValidator

from headrace.api.body import plain_json
from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.errors import QueueUnavailable
from headrace.graph.dispatch import Dispatch
from headrace.graph.project import require_project
from headrace.log import Log
from headrace.queues.broker import Broker
from headrace.queues.inspect import QueueDepth, RqWorker

if TYPE_CHECKING:
    from headrace.api.metrics import Meters

PUSH_SECONDS = 3.0
"""How long an answer waits for Redis; the sweep delivers what it did not take."""

_log = Log("headrace.api")


@dataclass(frozen=True, slots=True)
class House:
    """The parts that one API process shares. depths, rq_workers: blocking looks at Redis."""

    settings: Settings
    engine: Engine
    broker: Broker
    depths: Callable[[], list[QueueDepth]]
    rq_workers: Callable[[], list[RqWorker]]
    meters: Meters

    async def push(self, dispatches: Sequence[Dispatch]) -> None:
        """Delivers what has been committed. That Redis is away delays it, no more: the sweep repeats it."""
        try:
            async with asyncio.timeout(PUSH_SECONDS):
                await self.broker.push_async(dispatches)
        except (QueueUnavailable, TimeoutError) as error:
            _log.warning("push_failed", dispatches=len(dispatches), error=str(error) or "Redis is slow")


def house(request: Request) -> House:
    return cast(House, request.app.state.house)


Shared = Annotated[House, Depends(house)]
PlainJson = Depends(plain_json)
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000, description="How many to pass over.")]


def _project(name: str | None) -> str | None:
    """What stands in a query. Raises InvalidInput."""
    return None if name is None else require_project(name)


_Named = AfterValidator(_project)
OfProject = Annotated[str | None, _Named, Query(description="Only those of this project.")]
InProject = Annotated[
    str | None, _Named, Query(description="The project that it is for, else the default one.")
]
