"""Endpoints that answer like the products that people automate, so that workflows run without accounts.

Answers are drawn at random within realistic ranges; nothing is stored and nothing is sent. POST answers 201.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends

from headrace.api.routes.mocks import building, campaigns, crm, enrichment, leads, weather
from headrace.api.routes.mocks.request import plain_json

router = APIRouter(prefix="/workflows/api", tags=["mock"], dependencies=[Depends(plain_json)])
for product in (weather, enrichment, crm, leads, campaigns, building):
    router.include_router(product.router)

__all__ = ["router"]
