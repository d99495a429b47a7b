"""What stands in the messages between a nursery, its cells and their owner."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias, TypedDict

LENGTH = struct.Struct(">I")
"""What stands before the frame of a request, an answer or an end: the number of its bytes."""

ORDER = struct.Struct(">dQ??")
"""What comes with the three sockets of a new cell: seconds, bytes of memory, is it walled, has it files."""

Language: TypeAlias = Literal["python", "javascript", "bash"]
Why: TypeAlias = Literal["", "time", "disk", "owner"]


class Terms(TypedDict):
    """How a nursery works.

    owner: the pid of who started it. folder: where its cells have theirs. javascript: the file of the engine.
    zones: the folder of time zones, for machines that have none; '' for none.
    """

    owner: int
    folder: str
    javascript: str
    zones: str


class Request(TypedDict):
    """Please run this, or only look at it. seconds: of CPU time. told: what `context()` says in Python."""

    language: Language
    source: str
    entry: str | None
    input: object
    check: bool
    seconds: float
    memory_mb: int
    output_bytes: int
    told: dict[str, object] | None


class Taken(NamedTuple):
    """What a function takes by name. type: as JSON Schema calls it, '' if unknown."""

    name: str
    type: str
    is_required: bool


Takes: TypeAlias = list[Taken] | None
"""None: one value, or whatever names it is given. A check answers with this, by the function's name."""


class Said(TypedDict):
    """What the program itself said of its failure. after: the fewest seconds until another attempt."""

    details: object
    after: float | None


class Trouble(TypedDict):
    """Why there is no output. line: of the source, 0 if unknown. said: by `Fail` or `Retry`."""

    kind: str
    message: str
    line: int
    retryable: bool
    said: Said | None


class Answer(TypedDict):
    """What came of a request."""

    output: object
    trouble: Trouble | None


class End(TypedDict):
    """How a cell ended. status: as of `subprocess`. why: it was killed. seconds: that it has lived."""

    status: int
    why: Why
    seconds: float


def packed(message: Request | Answer | End) -> bytes:
    """A frame. Raises TypeError, ValueError or RecursionError for what is not JSON."""
    body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    return LENGTH.pack(len(body)) + body


def unpacked(body: bytes) -> object:
    """What a frame's body says. Raises ValueError or RecursionError."""
    return json.loads(body.decode("utf-8", "surrogatepass"), parse_constant=_refuse)


def read_frame(read: Callable[[int], bytes]) -> bytes:
    """The next frame's body. read: gives so many bytes at most, none at the end. Raises EOFError."""
    (size,) = LENGTH.unpack(_exactly(read, LENGTH.size))
    return _exactly(read, size)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = read(size - len(parts))
        if not part:
            raise EOFError("the other side is gone")
        parts += part
    return bytes(parts)


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
