"""Runs isolated code in a child: one call after the other, as they come over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import resource
import socket
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from functools import partial, reduce
from typing import NoReturn, cast

from headrace.activities.notes import hearer
from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed
from headrace.nodes.lanes import AttemptFailed, failure_of
from headrace.sandbox.cell.process_tree import children_of
from headrace_worker.isolated_wire import (
    MOST_BYTES,
    Answer,
    Call,
    Note,
    Problem,
    packed,
    read_frame,
    unpacked,
)

_RESERVE = 64 * 1024 * 1024
"""Bytes that are added to the limit when it was reached, so that this can be said."""

_LONGEST_TEXT = 20_000

_speaking = threading.Lock()
"""One frame after the other, whichever thread of the code says something."""


def serve(channel: socket.socket, memory: int) -> None:
    """Answers calls until the channel ends or a call leaves something behind.

    memory: bytes of address space that all of this process may use.
    """
    _limit(memory, memory + _RESERVE)
    me, guard = os.getpid(), os.getppid()
    hearer.set(partial(_say, channel))
    with channel, channel.makefile("rb") as incoming:
        while body := read_frame(incoming.read):
            answer = _answer(cast(Call, unpacked(body)), memory)
            if os.getpid() != me:
                os._exit(0)  # the code forked, and its child came back from it too
            answer["spent"] |= _has_left_something(me, guard, memory)
            with _speaking:
                channel.sendall(_frame(answer))


def _say(channel: socket.socket, note: JsonValue) -> None:
    """Tells the worker something while the code runs, which may be over by then for a thread of it."""
    with contextlib.suppress(OSError), _speaking:
        channel.sendall(packed(Note(note=note)))


def _limit(*limits: int) -> None:
    """The soft and the hard limit of address space, as far as this process may have that much at all."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    soft, hard = (one if most == resource.RLIM_INFINITY else min(one, most) for one in limits)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _answer(call: Call, memory: int) -> Answer:
    try:
        return Answer(output=_run(call), problem=None, spent=False)
    except SystemExit as end:
        _exit(end)
    except MemoryError as error:
        _limit(memory + _RESERVE, memory + _RESERVE)
        return _failed(error, f"MemoryError: the code needs more than {memory >> 20} MiB")
    except BaseException as error:
        return _failed(error, f"{type(error).__name__}: {error}")


def _run(call: Call) -> object:
    output = _found(call["function"])(call["payload"])
    return asyncio.run(_awaited(output)) if inspect.isawaitable(output) else output


async def _awaited(output: Awaitable[object]) -> object:
    return await output


def _found(function: str) -> Callable[[object], object]:
    module, _, qualname = function.partition(":")
    return reduce(getattr, qualname.split("."), importlib.import_module(module))  # type: ignore[return-value]


def _exit(end: SystemExit) -> NoReturn:
    """As the interpreter would, but without waiting for the code's threads."""
    if end.code is not None and not isinstance(end.code, int):
        sys.stderr.write(f"{end.code}\n")
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit((end.code & 0xFF) if isinstance(end.code, int) else int(end.code is not None))


def _failed(error: BaseException, message: str) -> Answer:
    failed = failure_of(error)
    is_said = isinstance(error, AttemptFailed | HeadraceError)
    trace = "" if is_said else "".join(traceback.format_exception(error))[-_LONGEST_TEXT:]
    problem = _problem(failed, failed.message if is_said else message, trace)
    return Answer(output=None, problem=problem, spent=isinstance(error, MemoryError))


def _problem(failed: Failed, message: str, trace: str) -> Problem:
    return Problem(
        kind=failed.kind,
        message=message[:_LONGEST_TEXT],
        retryable=failed.retryable,
        details=failed.details,
        retry_after=failed.retry_after,
        asks_again=failed.asks_again,
        traceback=trace,
    )


def _frame(answer: Answer) -> bytes:
    try:
        frame = packed(answer)
    except (TypeError, ValueError, RecursionError) as error:
        return _bad_output(f"the output is not JSON: {error}", answer["spent"])
    if len(frame) > MOST_BYTES:
        return _bad_output(f"the output has {len(frame)} bytes, more than {MOST_BYTES}", answer["spent"])
    return frame


def _bad_output(message: str, spent: bool) -> bytes:
    failed = Failed(message, kind="BadOutput", retryable=False)
    problem = _problem(failed, message, trace="")
    return packed(Answer(output=None, problem=problem, spent=spent))


def _has_left_something(me: int, guard: int, memory: int) -> bool:
    """Processes that go on, or so much memory that the next call might fail for it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak > memory // 2 or bool(children_of(me)) or len(children_of(guard)) > 1
