"""The error tree. A class's docstring is its default message; `code` names it to machines.

The API maps these to HTTP in one table (`headrace.api.errors`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


class HeadraceError(Exception):
    """Something went wrong."""

    code = "Error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])

    @property
    def message(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what a user sent.

    path: where, as in `nodes[2].config.url`; empty for the whole document.
    message: what is wrong. hint: what would be right, or ''.
    """

    path: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        return {key: value for key, value in asdict(self).items() if value or key == "path"}


class InvalidInput(HeadraceError):
    """The request is not valid."""

    code = "InvalidInput"

    def __init__(self, message: str | None = None, problems: list[Problem] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []


class InvalidDefinition(InvalidInput):
    """The workflow definition is not valid."""

    code = "InvalidDefinition"


class InvalidSettings(HeadraceError):
    """A setting has a value that cannot be used."""

    code = "InvalidSettings"


class NotFound(HeadraceError):
    """There is no such thing."""

    code = "NotFound"


class NotAuthentic(HeadraceError):
    """The signature is missing or wrong."""

    code = "NotAuthentic"


class WrongState(HeadraceError):
    """This cannot be done in the present state."""

    code = "WrongState"


class TooLarge(HeadraceError):
    """The request is larger than the limit."""

    code = "TooLarge"


class IdempotencyConflict(InvalidInput):
    """This Idempotency-Key was used with another body."""

    code = "IdempotencyConflict"


class StoreUnavailable(HeadraceError):
    """PostgreSQL does not answer."""

    code = "StoreUnavailable"


class QueueUnavailable(HeadraceError):
    """Redis does not answer."""

    code = "QueueUnavailable"


class MissingReference(HeadraceError):
    """A reference names a value that does not exist."""

    code = "MissingReference"


class BadExpression(HeadraceError):
    """An expression cannot be evaluated."""

    code = "BadExpression"
