"""A cell: behind its walls, it reads one request, runs it, answers, and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TextIO, cast

from . import bash_code, javascript_code, python_code
from .trouble import InTrouble, too_deep, trouble_of
from .walls import Walls, enter
from .wire import Answer, Language, Request, packed, read_frame, unpacked

_CHANNEL = 3
_MOST_DESCRIPTORS = 4096

_RUNNERS: dict[Language, Callable[[Request], object]] = {
    "python": python_code.run,
    "javascript": javascript_code.run,
    "bash": bash_code.run,
}
_CHECKERS: dict[Language, Callable[[Request], object]] = {
    "python": python_code.check,
    "javascript": javascript_code.check,
    "bash": bash_code.check,
}


def live(walls: Walls, folder: str, descriptors: tuple[int, int, int]) -> NoReturn:
    """Called in a process of its own, just forked; whatever happens, it does not return into the nursery.

    descriptors: of nothing, of the channel, and of where output goes.
    """
    try:
        os.chdir(folder)
        _take_over(*descriptors, walls.library)
        tempfile.tempdir = folder
        try:
            enter(walls)
        except OSError as error:
            answer = _troubled(InTrouble("SandboxUnavailable", f"the walls could not be built: {error}"))
        else:
            request = cast(Request, unpacked(read_frame(partial(os.read, _CHANNEL))))
            answer = _answered(request)
        with contextlib.suppress(Exception):  # the program may have put something else there
            sys.stdout.flush()
        _send(answer)
        os._exit(0)
    finally:
        os._exit(1)


def _take_over(nothing: int, channel: int, out: int, library: int) -> None:
    """Has standard output, the channel, the rules of its walls, and nothing else of the nursery."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.umask(0o077)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(channel, _CHANNEL)
    os.set_inheritable(_CHANNEL, False)
    os.closerange(_CHANNEL + 1, library)
    os.closerange(max(library, _CHANNEL) + 1, _MOST_DESCRIPTORS)
    sys.stdin, sys.stdout, sys.stderr = _text(0, "r"), _text(1, "w"), _text(2, "w")


def _text(descriptor: int, mode: str) -> TextIO:
    """Line by line, so that nothing is lost when the cell is killed."""
    stream = open(descriptor, mode, 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    return cast(TextIO, stream)


def _send(frame: bytes) -> None:
    while frame:
        frame = frame[os.write(_CHANNEL, frame) :]


def _answered(request: Request) -> bytes:
    """The frame of an answer, whatever happens."""
    runners = _CHECKERS if request["check"] else _RUNNERS
    spare = [bytearray(1 << 20)]  # so that there is room to say that there is none
    try:
        output = runners[request["language"]](request)
        return _fitting(output, request["output_bytes"])
    except BaseException as error:
        spare.clear()
        return _troubled(error)


def _fitting(output: object, most: int) -> bytes:
    try:
        frame = packed(Answer(output=output, trouble=None))
    except RecursionError:
        raise too_deep() from None
    except (TypeError, ValueError) as error:
        raise InTrouble("BadOutput", f"the output is not JSON: {error}") from None
    if len(frame) > most:
        raise InTrouble("OutputTooLarge", f"the output has {len(frame)} bytes, more than {most}")
    return frame


def _troubled(error: BaseException) -> bytes:
    return packed(Answer(output=None, trouble=trouble_of(error)))
