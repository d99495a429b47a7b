"""Exit codes, and users' errors as text instead of tracebacks."""

from __future__ import annotations

from enum import IntEnum

from headrace.errors import HeadraceError, InvalidInput, InvalidSettings, Problem


class Exit(IntEnum):
    """What the exit code says. For `headrace run --watch` it is the run's status."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    UNREACHABLE = 4
    TIMEOUT = 5


class Unreachable(HeadraceError):
    """No Headrace API answers."""

    code = "Unreachable"


class Unavailable(HeadraceError):
    """The API cannot do it at the moment."""

    code = "Unavailable"


class WrongUse(HeadraceError):
    """What was asked for cannot be understood."""

    code = "WrongUse"


class TookTooLong(HeadraceError):
    """What was waited for did not happen in time."""

    code = "TookTooLong"


class Refused(InvalidInput):
    """The API says no."""

    code = "Refused"


def exit_code(error: HeadraceError) -> Exit:
    """The exit code of an error."""
    match error:
        case Unreachable():
            return Exit.UNREACHABLE
        case TookTooLong():
            return Exit.TIMEOUT
        case WrongUse() | InvalidSettings():
            return Exit.USAGE
        case _:
            return Exit.FAILED


def describe(error: HeadraceError) -> str:
    """The message, and a line for each thing that is wrong."""
    problems = error.problems if isinstance(error, InvalidInput) else []
    return "\n".join([error.message, *(f"  {show_problem(problem)}" for problem in problems)])


def show_problem(problem: Problem) -> str:
    """A problem as people read it: where, what, and what would be right."""
    where = f"{problem.path}: " if problem.path else ""
    return f"{where}{problem.message}" + (f" ({problem.hint})" if problem.hint else "")
