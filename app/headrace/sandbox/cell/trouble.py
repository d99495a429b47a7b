"""What a cell says of a program that went wrong."""

from __future__ import annotations

import json
import traceback

from . import stand_in
from .wire import Trouble

PROGRAM = "<program>"
"""The name of the program's file, in tracebacks."""

# The cell cuts so that an answer is no larger than it needs; its owner cuts again what it cannot trust.
LONGEST_KIND = 100
LONGEST_MESSAGE = 4_000
LONGEST_DETAILS = 8 * 1024
LONGEST_WAIT = 366 * 86_400
"""Seconds that a program may ask to wait for its next attempt."""


class InTrouble(Exception):
    """The cell itself says why there is no output."""

    def __init__(self, kind: str, message: str, line: int = 0, retryable: bool = False) -> None:
        super().__init__(message)
        self.trouble = Trouble(kind=kind, message=message, line=line, retryable=retryable, said=None)


def too_deep() -> InTrouble:
    """The output cannot be written as JSON, or not be read again."""
    return InTrouble("BadOutput", "the output is nested too deep")


def trouble_of(error: BaseException) -> Trouble:
    """What is told of any exception, with the last line of the program that it came through."""
    if isinstance(error, InTrouble):
        return _cut(error.trouble)
    if isinstance(error, MemoryError):
        return _cut(InTrouble("MemoryError", "the program needs more memory").trouble)
    if isinstance(error, stand_in.ActivityError):
        return _cut(_said(error))
    kind = type(error).__name__
    return _cut(InTrouble(kind, f"{kind}: {_text(error)}", line_of(error), retryable=True).trouble)


def _said(error: stand_in.ActivityError) -> Trouble:
    """The program may have made anything of it."""
    is_retry = isinstance(error, stand_in.Retry)
    after = error.after if isinstance(error, stand_in.Retry) else None
    return Trouble(
        kind=str(error.kind),
        message=str(error.message),
        line=line_of(error),
        retryable=is_retry,
        said={
            "details": _json_or_none(error.details),
            "after": after if isinstance(after, (int, float)) and 0 <= after <= LONGEST_WAIT else None,
        },
    )


def _json_or_none(details: object) -> object:
    try:
        text = json.dumps(details, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return json.loads(text) if len(text) <= LONGEST_DETAILS else None


def line_of(error: BaseException) -> int:
    """The last line of the program among those that the exception came through; 0 if there is none."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == PROGRAM]
    return lines[-1] if lines else 0


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text cannot be had)"


def _cut(trouble: Trouble) -> Trouble:
    return {
        **trouble,
        "kind": trouble["kind"][:LONGEST_KIND],
        "message": trouble["message"][:LONGEST_MESSAGE],
    }
