"""What `from headrace import worker_task` gives in a cell: an activity's source runs there as it is."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def module() -> ModuleType:
    """The stand-in for the package."""
    one = ModuleType("headrace", "In a sandbox, only `worker_task` is here.")
    vars(one)["worker_task"] = _worker_task
    return one


def _worker_task(name: F | str | None = None, /, **_: object) -> F | Callable[[F], F]:
    """Declares nothing: who runs the sandbox knows the name and the options already."""
    return name if callable(name) else _unchanged


def _unchanged(function: F) -> F:
    return function
