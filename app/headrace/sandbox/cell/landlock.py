"""Landlock: the kernel's list of the files that a process may reach. All others are refused."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from .kernel import MACHINE, syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every processor
_GIVE_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _MAKE_FILE, _TRUNCATE = (1 << bit for bit in (1, 2, 3, 8, 14))
_READ = _READ_FILE | _READ_DIR
_OWN = (
    _READ | _WRITE_FILE | _MAKE_FILE | _TRUNCATE
)  # no right to remove: a removed file may live on, uncounted

# How many rights on files each version of the interface knows: its first, and those that added some.
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP_SINCE, _ALL_TCP = 4, 0b11
_SCOPES_SINCE, _ALL_SCOPES = 6, 0b11


def version() -> int:
    """The version of the kernel's interface; 0 where it has none, or it is switched off."""
    if not MACHINE:
        return 0
    try:
        return syscall(_CREATE, None, 0, _GIVE_VERSION)
    except OSError:
        return 0


def rules(read: Iterable[str], own: str | None) -> int:
    """A descriptor of rules: read below these folders, write files into one's own but not
    remove them, and no more.

    And bind and connect no TCP port, reach no abstract socket and signal no process outside, as far as the
    kernel's version knows of these. Raises OSError.
    """
    files, tcp, scopes = handled(version())
    made = syscall(_CREATE, *_sized(struct.pack("QQQ", files, tcp, scopes), tcp, scopes), 0)
    allow_to_read(made, read)
    if own is not None:
        _allow(made, own, _OWN & files)
    return made


def allow_to_read(made: int, paths: Iterable[str]) -> None:
    """Adds a rule for each of these files, and folders with all below. Raises OSError."""
    for path in paths:
        _allow(made, path, _READ if os.path.isdir(path) else _READ_FILE)


def allow_to_list(made: int, folder: str) -> None:
    """Adds a rule that names below a folder may be read, but no file. Raises OSError."""
    _allow(made, folder, _READ_DIR)


def restrict(made: int) -> None:
    """From here on, the rules hold for this process and its heirs. Needs no_new_privs. Raises OSError."""
    try:
        syscall(_RESTRICT, made, 0)
    finally:
        os.close(made)


def handled(known: int) -> tuple[int, int, int]:
    """What is refused unless a rule allows it, as bits: rights on files, on TCP ports, and scopes."""
    rights = max(count for since, count in _RIGHTS.items() if since <= max(known, 1))
    return (
        (1 << rights) - 1,
        _ALL_TCP if known >= _TCP_SINCE else 0,
        _ALL_SCOPES if known >= _SCOPES_SINCE else 0,
    )


def _sized(attributes: bytes, tcp: int, scopes: int) -> tuple[bytes, int]:
    """An old kernel refuses a structure that is longer than it knows."""
    size = 24 if scopes else 16 if tcp else 8
    return attributes[:size], size


def _allow(made: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        syscall(_ADD_RULE, made, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)
