"""The system calls that a cell may make, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# On x86_64 and on aarch64; the latter has no old forms of some.
Numbers: TypeAlias = tuple[int, int | None]

TO_COMPUTE: dict[str, Numbers] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "close": (3, 57),
    "fstat": (5, 80),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getcpu": (309, 168),
    "rseq": (334, 293),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""What any program needs that is given its input and gives back its output."""

FOR_FILES: dict[str, Numbers] = {
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "lseek": (8, 62),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "ftruncate": (77, 46),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "eventfd2": (290, 19),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "getsockname": (51, 204),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getppid": (110, 173),
}
"""What Python needs besides: its own files, and a loop of asyncio. Landlock says which files.

None deletes a file, or moves one over another: its bytes would be held by descriptors and maps, uncounted.
"""


@dataclass(frozen=True, slots=True)
class Given:
    """An argument and the values that it may have. mask: the bits that are looked at; all are 32."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Partly:
    """A call that is allowed with some arguments only."""

    numbers: Numbers
    given: tuple[Given, ...]


_UNIX, _STREAM, _NONBLOCK, _CLOEXEC = 1, 1, 0o4000, 0o2000000
# Not datagrams: those could be sent to any address.
_STREAMS = (_STREAM, _STREAM | _CLOEXEC, _STREAM | _NONBLOCK, _STREAM | _NONBLOCK | _CLOEXEC)
_READ, _WRITE, _BOTH, _ACCESS = 0, 1, 2, 3
_CUT, _NAMELESS = 0o1000, 0o20000000  # O_TRUNC, and of O_TMPFILE what O_DIRECTORY has not

# Landlock knows of cutting since its third version. Before, it asks for the right to write only where a file
# is opened to be written; but a reader may cut it too, and so may who opens it in mode 3, which is neither.
# A file without a name would not be counted.
_OPENING = (_READ, _WRITE, _BOTH, _WRITE | _CUT, _BOTH | _CUT)
_OPENING_BITS = _ACCESS | _CUT | _NAMELESS

PARTLY: dict[str, Partly] = {
    "open": Partly((2, None), (Given(1, _OPENING, _OPENING_BITS),)),
    "openat": Partly((257, 56), (Given(2, _OPENING, _OPENING_BITS),)),
    # F_DUPFD, F_GETFD to F_SETFL, F_DUPFD_CLOEXEC: others set who gets a signal, and which.
    "fcntl": Partly((72, 25), (Given(1, (0, 1, 2, 3, 4, 1030)),)),
    # TCGETS, FIONBIO, FIONCLEX, FIOCLEX.
    "ioctl": Partly((16, 29), (Given(1, (0x5401, 0x5421, 0x5450, 0x5451)),)),
    "socketpair": Partly((53, 199), (Given(0, (_UNIX,)), Given(1, _STREAMS))),
}
"""What the loop of asyncio and open files need."""
