"""Whether the API lives, and whether it is ready."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Response

from headrace.api.deps import Shared
from headrace.api.readiness import Check, checks
from headrace.api.schemas import Model

router = APIRouter(tags=["health"])


class Health(Model):
    """That the API answers."""

    status: Literal["ok"] = "ok"
    timestamp: datetime
    service: str = "headrace"


class Readiness(Model):
    """Whether the API can do its work, and what it asked."""

    ready: bool
    checks: list[Check]


@router.get("/health")
async def health() -> Health:
    """That the API answers. Asks nothing of PostgreSQL or Redis."""
    return Health(timestamp=datetime.now(UTC))


@router.get("/healthz")
async def alive() -> Health:
    """The same, by the name that orchestrators use for a process's life."""
    return await health()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def ready(house: Shared, response: Response) -> Readiness:
    """200 once the database is migrated, the templates are loaded and all wanted workers run; else 503."""
    found = await checks(house)
    is_ready = all(check.ok for check in found)
    if not is_ready:
        response.status_code = 503
    return Readiness(ready=is_ready, checks=found)


class Links(Model):
    """Where to go from here."""

    service: str = "headrace"
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    workflows: str = "/workflows"
    runs: str = "/runs"
    workers: str = "/workers"
    queues: str = "/queues"
    dashboard: str = "/rq/"
    metrics: str = "/metrics"
    health: str = "/health"


@router.get("/")
async def links() -> Links:
    """Where to go from here."""
    return Links()
