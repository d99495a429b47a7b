"""Headrace: a distributed task-graph engine on Redis queues.

Users' code imports what it needs from here: `from headrace import worker_task, context`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.activities.context import ActivityContext, RunLogger, context
    from headrace.activities.declare import worker_task
    from headrace.activities.errors import (
        ActivityAlreadyRegistered,
        ActivityError,
        BadDeclaration,
        Cancelled,
        Fail,
        NotInActivity,
        Retry,
        UnknownOption,
    )
    from headrace.graph.json_types import JsonObject, JsonValue

__version__ = "0.1.0"

__all__ = [
    "ActivityAlreadyRegistered",
    "ActivityContext",
    "ActivityError",
    "BadDeclaration",
    "Cancelled",
    "Fail",
    "JsonObject",
    "JsonValue",
    "NotInActivity",
    "Retry",
    "RunLogger",
    "UnknownOption",
    "__version__",
    "context",
    "worker_task",
]

_HOMES = {
    "headrace.activities.context": ("ActivityContext", "RunLogger", "context"),
    "headrace.activities.declare": ("worker_task",),
    "headrace.activities.errors": (
        "ActivityAlreadyRegistered",
        "ActivityError",
        "BadDeclaration",
        "Cancelled",
        "Fail",
        "NotInActivity",
        "Retry",
        "UnknownOption",
    ),
    "headrace.graph.json_types": ("JsonObject", "JsonValue"),
}


def __getattr__(name: str) -> object:
    """Loads what is asked for: importing a part of Headrace must not import all that users may need."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'headrace' has no attribute '{name}'")
    return getattr(import_module(home), name)
