"""What `from headrace import ...` gives in a cell: an activity's source runs there as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


class ActivityError(Exception):
    """A failure that says for itself whether another attempt may help."""

    def __init__(self, message: str = "", *, kind: str | None = None, details: object = None) -> None:
        super().__init__(message)
        self.message = message or type(self).__name__
        self.kind = kind or type(self).__name__
        self.details = details


class Fail(ActivityError):
    """Another attempt cannot help."""


class Retry(ActivityError):
    """Another attempt may help. after: the fewest seconds until then."""

    def __init__(
        self,
        message: str = "",
        *,
        after: float | None = None,
        kind: str | None = None,
        details: object = None,
    ) -> None:
        super().__init__(message, kind=kind, details=details)
        self.after = after


class Cancelled(Exception):
    """Never raised here: what is cancelled ends with its cell."""


class NotInActivity(RuntimeError):
    """`context()` was called where there is no task."""


class _Logger:
    """Lines go where printed ones go."""

    def log(self, level: str, message: object, *arguments: object) -> None:
        """As `logging.Logger`; the level stands before the text, unless it is usual."""
        text = str(message) % arguments if arguments else str(message)
        sys.stdout.write(f"{text}\n" if level == "info" else f"{level}: {text}\n")

    def debug(self, message: object, *arguments: object) -> None:
        self.log("debug", message, *arguments)

    def info(self, message: object, *arguments: object) -> None:
        self.log("info", message, *arguments)

    def warning(self, message: object, *arguments: object) -> None:
        self.log("warning", message, *arguments)

    def error(self, message: object, *arguments: object) -> None:
        self.log("error", message, *arguments)


class _Context:
    """What a program may know of its task: run_id, node_id, attempt and so on."""

    cancelled = False

    def __init__(self, told: dict[str, object]) -> None:
        vars(self).update(told)
        self.logger = _Logger()

    def heartbeat(self, progress: float | None = None, details: object = None) -> None:
        """Nobody hears it: what a cell says before its end is not asked for."""

    def raise_if_cancelled(self) -> None:
        """Does nothing: what is cancelled ends with its cell."""


def module(told: dict[str, object] | None) -> ModuleType:
    """The stand-in for the package. told: of the task that the program runs for, if it does."""

    def context() -> _Context:
        if told is None:
            raise NotInActivity("no activity runs here")
        return _Context(told)

    one = ModuleType("headrace", "In a sandbox, only what an activity needs is here.")
    vars(one).update(context=context, worker_task=_worker_task)
    vars(one).update({kind.__name__: kind for kind in (ActivityError, Cancelled, Fail, NotInActivity, Retry)})
    return one


def _worker_task(name: F | str | None = None, /, **_: object) -> F | Callable[[F], F]:
    """Declares nothing: who runs the sandbox knows the name and the options already."""
    return name if callable(name) else _unchanged


def _unchanged(function: F) -> F:
    return function
