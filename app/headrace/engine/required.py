"""What must be there: it, or NotFound."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from headrace.errors import NotFound
from headrace.store import workflows
from headrace.store.db import Tx

T = TypeVar("T")


def found(value: T | None, message: str) -> T:
    """The value. Raises NotFound with the message when there is none."""
    if value is None:
        raise NotFound(message)
    return value


async def require_workflow(tx: Tx, workflow_id: UUID) -> None:
    """Raises NotFound when there is no such workflow."""
    found(await workflows.current_version(tx, workflow_id), "Workflow not found")
