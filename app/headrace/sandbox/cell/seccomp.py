"""Seccomp: a small program in the kernel that looks at each system call of this process and its heirs.

What is not allowed fails with EPERM, so that code gets an exception that says where. A call by the numbers of
another processor kills.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable

from .kernel import MACHINE, PR_GET_SECCOMP, PR_SET_SECCOMP, prctl
from .syscalls import FOR_FILES, PARTLY, TO_COMPUTE, Given, Numbers

# AUDIT_ARCH_*, and which of the numbers in our tables is this processor's.
_PROCESSORS = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_LOAD, _JUMP_IF_EQUAL, _RETURN, _AND = 0x20, 0x15, 0x06, 0x54
_NUMBER_AT, _PROCESSOR_AT, _ARGUMENTS_AT = 0, 4, 16
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
_MODE_FILTER = 2


def is_supported() -> bool:
    """Whether this kernel filters system calls, and we know this processor's."""
    try:
        return MACHINE in _PROCESSORS and prctl(PR_GET_SECCOMP) >= 0
    except OSError:
        return False


def restrict(with_files: bool) -> None:
    """From here on, this process makes only the calls in our tables. Needs no_new_privs. Raises OSError."""
    program = filter_program(MACHINE, with_files)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    pointer = ctypes.create_string_buffer(header)
    prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(pointer))


def filter_program(machine: str, with_files: bool) -> bytes:
    """The filter, in the kernel's instructions (classic BPF)."""
    processor, column = _PROCESSORS[machine]
    steps = [
        _step(_LOAD, _PROCESSOR_AT),
        _step(_JUMP_IF_EQUAL, processor, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        *_allowing(TO_COMPUTE.values(), column),
    ]
    if with_files:
        steps += [*_allowing(FOR_FILES.values(), column), *_partly(column)]
    return b"".join([*steps, _step(_RETURN, _REFUSE)])


def _allowing(calls: Iterable[Numbers], column: int) -> Iterable[bytes]:
    for numbers in calls:
        if (number := numbers[column]) is not None:
            yield from _allow_if(number)


def _partly(column: int) -> Iterable[bytes]:
    for one in PARTLY.values():
        number = one.numbers[column]
        if number is not None:
            checks = [step for given in one.given for step in _refuse_unless(given)]
            yield _step(_JUMP_IF_EQUAL, number, 0, len(checks) + 1)
            yield from (*checks, _step(_RETURN, _ALLOW))


def _refuse_unless(given: Given) -> Iterable[bytes]:
    yield _step(_LOAD, _ARGUMENTS_AT + 8 * given.argument)  # its lower half: it is an int
    yield _step(_AND, given.mask)
    for left in range(len(given.values), 0, -1):
        yield _step(_JUMP_IF_EQUAL, given.values[-left], left, 0)  # over the others and the refusal
    yield _step(_RETURN, _REFUSE)


def _allow_if(value: int) -> tuple[bytes, bytes]:
    return _step(_JUMP_IF_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
