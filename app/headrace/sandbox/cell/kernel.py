"""System calls that Python does not wrap. Linux only."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

PR_SET_DUMPABLE = 4
PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

MACHINE = platform.machine() if sys.platform == "linux" else ""
"""The kernel's name of the processor, as `x86_64`; '' where this is no Linux."""


def prctl(option: int, *arguments: int) -> int:
    """Raises OSError."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_libc().prctl(option, *map(ctypes.c_ulong, padded)))


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Raises OSError."""
    libc = _libc()
    libc.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(one) if isinstance(one, int) else ctypes.c_char_p(one) for one in arguments]
    return _checked(libc.syscall(ctypes.c_long(number), *given))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
