"""What a worker and a child that runs isolated code say to each other: JSON in frames, never pickle.

Imported by the child, so it imports little.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import TypedDict

LENGTH = struct.Struct(">I")
"""What stands before each frame: the number of its bytes."""

MOST_BYTES = 16 * 1024 * 1024
"""Of one answer: a worker does not read more, whatever a child sends."""


class Terms(TypedDict):
    """How a child runs.

    channel: the descriptor of its socket. worker: the pid of who started it. memory: bytes of address space
    for the code. path: where it finds modules.
    """

    channel: int
    worker: int
    memory: int
    path: list[str]


class Call(TypedDict):
    """Please call `module:qualname` with this payload."""

    function: str
    payload: object


class Problem(TypedDict):
    """Why there is no output; as `Failed`, with the traceback for the worker's log."""

    kind: str
    message: str
    retryable: bool
    details: object
    retry_after: float | None
    asks_again: bool
    traceback: str


class Note(TypedDict):
    """What the code says while it runs; any number of them come before the answer."""

    note: object


class Answer(TypedDict):
    """What came of a call. spent: the child must not be used again."""

    output: object
    problem: Problem | None
    spent: bool


def packed(message: Call | Note | Answer) -> bytes:
    """A frame. Raises TypeError, ValueError or RecursionError for what is not JSON."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return LENGTH.pack(len(body)) + body


def unpacked(body: bytes) -> object:
    """What a frame's body says; raises ValueError."""
    return json.loads(body.decode("utf-8", "surrogatepass"))


def read_frame(read: Callable[[int], bytes]) -> bytes | None:
    """The next frame's body; None at the end. read: gives so many bytes, fewer only at the end."""
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = read(size)
    return body if len(body) == size else None
