"""Code for the lanes' tests, called by name in child processes: it crashes, hangs, forks and worse."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from headrace.errors import NotFound
from headrace.graph.json_types import JsonObject, JsonValue

MODULE = __name__


def named(function: object) -> str:
    """How a lane is told of a function of this module."""
    return f"{MODULE}:{getattr(function, '__qualname__', '')}"


def echo(payload: JsonValue) -> JsonValue:
    return payload


async def echo_later(payload: JsonValue) -> JsonValue:
    return payload


def pid(_: JsonValue) -> int:
    return os.getpid()


class Nested:
    @staticmethod
    def name(_: JsonValue) -> str:
        return "nested"


def segfault(_: JsonValue) -> None:
    ctypes.string_at(0)


def exit_with(status: int | str | None) -> NoReturn:
    sys.exit(status)


def exit_despite_a_thread(_: JsonValue) -> NoReturn:
    threading.Thread(target=threading.Event().wait).start()
    sys.exit(5)


def exit_at_once(_: JsonValue) -> NoReturn:
    os._exit(4)


def kill_itself(_: JsonValue) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat_in_one_bite(_: JsonValue) -> int:
    return len(b"x" * (8 << 30))


def eat_crumbs(_: JsonValue) -> NoReturn:
    crumbs: list[bytearray] = []
    while True:
        crumbs.append(bytearray(50_000))


def keep_much(size: int) -> int:
    """Leaves the process large."""
    return len(b"x" * size)


def lack_something(_: JsonValue) -> None:
    raise NotFound("no such company")


def divide_by(number: int) -> float:
    return 1 / number


def speak_at_length(_: JsonValue) -> None:
    raise ValueError("x" * 1_000_000)


def interrupt(_: JsonValue) -> None:
    raise KeyboardInterrupt


def unstorable(_: JsonValue) -> object:
    return object()


def circular(_: JsonValue) -> object:
    ring: list[object] = []
    ring.append(ring)
    return ring


def endless_text(_: JsonValue) -> str:
    return "x" * (17 << 20)


def print_a_lot(_: JsonValue) -> JsonValue:
    print('{"output": "wrong"}')
    os.write(1, b"past Python's buffers\n")
    sys.stdout.flush()
    return sys.stdin.read()


def hang(file: str) -> NoReturn:
    """Writes its pid into the file, and never returns."""
    Path(file).write_text(f"{os.getpid()}")
    while True:
        time.sleep(1000)


def hang_deaf(file: str) -> NoReturn:
    """As `hang`, with every signal blocked or ignored that can be, in every loop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(file).write_text(f"{os.getpid()}")
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            continue


def hang_and_stop_its_guard(file: str) -> NoReturn:
    os.kill(os.getppid(), signal.SIGSTOP)
    hang(file)


def kill_its_guard(_: JsonValue) -> NoReturn:
    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        time.sleep(1000)


def with_a_grandchild(options: JsonObject) -> int:
    """Starts a process that never ends and writes its pid into `file`; then does as `then` says.

    detached: in a session of its own.
    """
    grandchild = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1000)"],
        start_new_session=bool(options.get("detached")),
    )
    Path(str(options["file"])).write_text(f"{grandchild.pid}")
    match options["then"]:
        case "crash":
            segfault(None)
        case "hang":
            time.sleep(1000)
    return grandchild.pid


def fork_and_return(_: JsonValue) -> str:
    """Both processes come back from it."""
    return "parent" if os.fork() else "child"


def close_all(_: JsonValue) -> NoReturn:
    os.closerange(3, 256)
    while True:
        time.sleep(1000)


def babble(_: JsonValue) -> NoReturn:
    """Writes into everything that is open."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff" * 8)
        except OSError:
            continue
    while True:
        time.sleep(1000)
