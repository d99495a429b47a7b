"""What a cell says of a program that went wrong."""

from __future__ import annotations

import traceback

from .wire import Trouble

PROGRAM = "<program>"
"""The name of the program's file, in tracebacks."""

_LONGEST_MESSAGE = 4_000


class InTrouble(Exception):
    """The cell itself says why there is no output."""

    def __init__(self, kind: str, message: str, line: int = 0, retryable: bool = False) -> None:
        super().__init__(message)
        self.trouble = Trouble(kind=kind, message=message, line=line, retryable=retryable)


def too_deep() -> InTrouble:
    """The output cannot be written as JSON, or not be read again."""
    return InTrouble("BadOutput", "the output is nested too deep")


def trouble_of(error: BaseException) -> Trouble:
    """What is told of any exception, with the last line of the program that it came through."""
    if isinstance(error, InTrouble):
        return _cut(error.trouble)
    if isinstance(error, MemoryError):
        return Trouble(kind="MemoryError", message="the program needs more memory", line=0, retryable=False)
    kind = type(error).__name__
    return _cut(Trouble(kind=kind, message=f"{kind}: {_text(error)}", line=line_of(error), retryable=True))


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
    return {**trouble, "kind": trouble["kind"][:100], "message": trouble["message"][:_LONGEST_MESSAGE]}
