"""What users' code raises, and what is raised at those who declare activities.

Imported by child processes that run isolated code, so it imports little.
"""

from __future__ import annotations

from headrace.graph.json_types import JsonValue


class ActivityError(Exception):
    """A failure that says for itself whether another attempt may help.

    kind: a short name for machines, as `CardDeclined`; `retry_on` and failure edges see it. details: JSON for
    those who handle the failure.
    """

    def __init__(self, message: str = "", *, kind: str | None = None, details: JsonValue = None) -> None:
        super().__init__(message)
        self.message = message or type(self).__name__
        self.kind = kind or type(self).__name__
        self.details = details


class Fail(ActivityError):
    """The task has failed, and another attempt cannot help: it is not retried."""


class Retry(ActivityError):
    """The attempt has failed, and another may help, if one is left. after: the fewest seconds until then."""

    def __init__(
        self,
        message: str = "",
        *,
        after: float | None = None,
        kind: str | None = None,
        details: JsonValue = None,
    ) -> None:
        super().__init__(message, kind=kind, details=details)
        self.after = after


class Cancelled(Exception):
    """The attempt is over without its code: cancelled, timed out, or taken away. See `raise_if_cancelled`."""


class NotInActivity(RuntimeError):
    """`context()` was called by code that no worker runs as an activity."""


class BadDeclaration(TypeError):
    """A function cannot be an activity as it is declared."""


class UnknownOption(BadDeclaration):
    """`worker_task` was given an option that it does not have."""


class ActivityAlreadyRegistered(ValueError):
    """Two functions of the same origin have one name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        super().__init__(f"activity '{name}' is declared twice: by {first} and by {second}")
        self.name = name
        self.origins = (first, second)


class BadInput(ValueError):
    """The input does not fit the activity's parameters; says of each what is wrong."""
