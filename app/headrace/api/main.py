"""The API's application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import WSGIApp
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from headrace import __version__
from headrace.api import errors
from headrace.api.auth import Authentication, SameOrigin, allowed_origins, read_keys, require_safe
from headrace.api.body import BodyLimit
from headrace.api.deps import House
from headrace.api.metrics import Meters, RequestTimes
from headrace.api.routes import (
    activities,
    api_templates,
    definitions,
    events,
    health,
    links,
    metrics,
    mocks,
    node_types,
    people,
    projects,
    queues,
    run_control,
    runs,
    schedules,
    signals,
    starts,
    statistics,
    versions,
    webhooks,
    worker_control,
    workers,
    workflows,
)
from headrace.api.schemas import ErrorBody
from headrace.api.startup import load_once_migrated
from headrace.api.yaml_bodies import YamlBodies
from headrace.config import Settings, load
from headrace.engine.program import Engine
from headrace.engine.sealing import Seal
from headrace.errors import InvalidSettings
from headrace.nodes.builtin import builtin
from headrace.queues.broker import Broker
from headrace.queues.connection import connect
from headrace.queues.dashboard import dashboard
from headrace.queues.inspect import all_queue_depths, rq_workers
from headrace.store.db import Database

_ROUTERS = (
    health.router,
    metrics.router,
    mocks.router,
    run_control.router,
    runs.router,
    signals.router,
    people.router,
    links.router,
    starts.router,
    versions.router,
    definitions.router,
    workflows.router,
    schedules.router,
    webhooks.router,
    events.router,
    node_types.router,
    activities.router,
    activities.settings_router,
    api_templates.router,
    projects.router,
    workers.router,
    worker_control.router,
    queues.router,
    statistics.router,
)
"""In the order of matching: fixed paths such as `/workflows/runs` before `/workflows/{id}`."""


def application() -> FastAPI:
    """The API as the environment says, for `uvicorn --factory headrace.api.main:application`."""
    return create_app(load())


def create_app(settings: Settings) -> FastAPI:
    """The API over the servers that the settings name; it connects when it starts to serve.

    It starts no worker and migrates nothing: `headrace up` and `headrace migrate` do. Once the database is
    migrated, it loads the samples and templates. Raises InvalidSettings, also when it begins to serve.
    """
    require_safe(settings)
    Seal(settings.secret_key)
    meters = Meters()
    app = FastAPI(
        title="Headrace",
        version=__version__,
        description="Workflows as graphs of tasks: save them, run them, watch them.",
        lifespan=partial(_lifespan, settings, meters),
        responses={422: {"model": ErrorBody}, 503: {"model": ErrorBody}},
    )
    errors.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    if settings.redis_url:
        app.mount("/rq", _dashboard(settings))
    _guard(app, settings, meters)
    return app


def _guard(app: FastAPI, settings: Settings, meters: Meters) -> None:
    """Puts what every request passes around the application."""
    origins = allowed_origins(settings)
    # The last one added meets a request first.
    app.add_middleware(YamlBodies)
    app.add_middleware(BodyLimit)
    app.add_middleware(SameOrigin, allowed=origins)
    app.add_middleware(Authentication, keys=read_keys(settings.api_keys))
    app.add_middleware(RequestTimes, meters=meters)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=sorted(origins),
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["Retry-After"],
    )


def _require_servers(settings: Settings) -> None:
    missing = [
        name
        for name, url in (("DATABASE_URL", settings.postgres_url), ("REDIS_URL", settings.redis_url))
        if not url
    ]
    if missing:
        raise InvalidSettings(f"{' and '.join(missing)} must be set; `headrace up` brings its own servers")


def _dashboard(settings: Settings) -> ASGIApp:
    # Flask and a2wsgi describe WSGI, a2wsgi and Starlette ASGI, in types that do not fit each other.
    application = cast(WSGIApp, dashboard(settings.redis_url).wsgi_app)
    return cast(ASGIApp, WSGIMiddleware(application, workers=4))


@asynccontextmanager
async def _lifespan(settings: Settings, meters: Meters, app: FastAPI) -> AsyncIterator[None]:
    _require_servers(settings)
    db = Database(settings.postgres_url)
    connection = connect(settings.redis_url)
    engine = Engine.over(db, builtin(), settings.lease_seconds)
    app.state.house = House(
        settings=settings,
        engine=engine,
        broker=Broker(connection),
        depths=partial(all_queue_depths, connection),
        rq_workers=partial(rq_workers, connection),
        meters=meters,
    )
    loading = asyncio.create_task(load_once_migrated(engine, settings.samples))
    try:
        yield
    finally:
        loading.cancel()
        await asyncio.wait([loading])
        connection.close()
        await db.close()
