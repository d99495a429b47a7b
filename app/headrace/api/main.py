"""The API's application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from headrace import __version__
from headrace.api import errors
from headrace.api.body import BodyLimit
from headrace.api.deps import House
from headrace.api.routes import health, mocks, runs, starts, workflows
from headrace.api.schemas import ErrorBody
from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.nodes.builtin import builtin
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.queues.inspect import queue_depths, rq_workers
from headrace.store.db import Database

_ROUTERS = (health.router, mocks.router, runs.router, starts.router, workflows.router)
"""In the order of matching: fixed paths such as `/workflows/runs` before `/workflows/{id}`."""


def create_app(settings: Settings) -> FastAPI:
    """The API over the servers that the settings name; it connects when it starts to serve.

    It starts nothing and migrates nothing: `headrace up` and `headrace migrate` do. Raises InvalidSettings.
    """
    app = FastAPI(
        title="Headrace",
        version=__version__,
        description="Workflows as graphs of tasks: save them, run them, watch them.",
        lifespan=partial(_lifespan, settings),
        responses={422: {"model": ErrorBody}, 503: {"model": ErrorBody}},
    )
    errors.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.add_middleware(BodyLimit)
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    db = Database.connect(settings.postgres_url)
    connection = connect(settings.redis_url)
    app.state.house = House(
        settings=settings,
        engine=Engine.over(db, builtin(), settings.lease_seconds),
        broker=Broker(connection),
        depths=partial(queue_depths, connection),
        rq_workers=partial(rq_workers, connection),
    )
    try:
        yield
    finally:
        connection.close()
        await db.close()
