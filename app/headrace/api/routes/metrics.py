"""Metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from headrace.api.deps import Shared

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(house: Shared) -> PlainTextResponse:
    """This process, its requests, the queues and the runs, in Prometheus' text format."""
    text = await house.meters.text(house)
    return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)
