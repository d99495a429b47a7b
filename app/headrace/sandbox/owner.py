"""A nursery and its cells, seen from the process that owns them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from headrace.sandbox.cell.wire import LENGTH, ORDER, End, Request, Terms, packed, unpacked

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_HERE = str(Path(__file__).parent)
_START = "import sys; sys.path.append(sys.argv[1]); from cell.nursery import main; main(sys.argv[2])"
_LAST_WORDS_SECONDS = 2.0


class _TooMuchOutput(Exception):
    """A cell has written more than it may."""


@dataclass(frozen=True, slots=True)
class Order:
    """seconds: until the cell is killed. memory: bytes of address space. See `Walls` for the rest."""

    seconds: float
    memory: int
    is_safe: bool = True
    has_files: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """answer: a frame's body, None when the cell sent none. out: what it wrote.

    end: None when its nursery has died. is_cut: it was killed because it had more to say than it may.
    """

    answer: bytes | None
    out: bytes
    end: End | None
    is_cut: bool = False


class Nursery:
    """Must be started in a thread that lives as long as it: by the kernel's rule, it ends with that."""

    def __init__(self, process: asyncio.subprocess.Process, orders: socket.socket, folder: Path) -> None:
        self._process = process
        self._orders = orders
        self._folder = folder

    @classmethod
    async def start(cls, javascript: str = "", zones: str = "") -> Nursery:
        """javascript: the file of the engine. zones: a folder of time zones. Raises OSError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # the loop must not wait, and a nursery that does not listen is of no use
        folder = Path(tempfile.mkdtemp(prefix="headrace-cells-"))
        folder.chmod(0o711)  # cells are of another user, if this one is root
        terms = Terms(owner=os.getpid(), folder=str(folder), javascript=javascript, zones=zones)
        try:
            return cls(await _started(terms, theirs.fileno()), ours, folder)
        except BaseException:
            ours.close()  # a process that was started all the same ends by this
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def run(self, order: Order, request: Request, most_bytes: int) -> Ended:
        """Runs a request in a new cell. A cell whose caller is cancelled is killed.

        most_bytes: of the answer and all that is written. Raises OSError when the nursery is gone.
        """
        streams = await _opened(self._send(order))
        try:
            return await _Conversation(streams, most_bytes).hold(request)
        finally:
            for _, writer in streams:
                writer.transport.abort()

    async def close(self) -> None:
        """Ends it and all its cells."""
        self._orders.close()
        try:
            await asyncio.wait_for(self._process.wait(), _LAST_WORDS_SECONDS)
        except TimeoutError:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)  # where the nursery could not

    def _send(self, order: Order) -> list[socket.socket]:
        pairs = [socket.socketpair() for _ in range(3)]
        message = ORDER.pack(order.seconds, order.memory, order.is_safe, order.has_files)
        try:
            socket.send_fds(self._orders, [message], [theirs.fileno() for _, theirs in pairs])
        except OSError:
            for ours, _ in pairs:
                ours.close()
            raise
        finally:
            for _, theirs in pairs:
                theirs.close()
        return [ours for ours, _ in pairs]


async def _started(terms: Terms, orders: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _START, _HERE, json.dumps(terms)),
        stdin=orders,
        stdout=subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )


async def _opened(sockets: list[socket.socket]) -> list[Stream]:
    """Takes them over, or closes all of them."""
    streams: list[Stream] = []
    try:
        for one in sockets:
            streams.append(await asyncio.open_connection(sock=one))
    except BaseException:
        for _, writer in streams:
            writer.transport.abort()
        for one in sockets[len(streams) :]:
            one.close()
        raise
    return streams


class _Conversation:
    """With one cell. Its three streams are read at once, so that it never waits for us."""

    def __init__(self, streams: list[Stream], most_bytes: int) -> None:
        (self._life, self._hold), (self._answers, self._requests), (self._out, _) = streams
        self._left = most_bytes
        self._written = bytearray()
        self._is_cut = False

    async def hold(self, request: Request) -> Ended:
        end = asyncio.create_task(self._end())
        asking, answer, out = (
            asyncio.create_task(one) for one in (self._ask(request), self._answer(), self._read_out())
        )
        try:
            await asyncio.gather(asking, out)
            return Ended(await answer, bytes(self._written), await end, self._is_cut)
        finally:
            for one in (end, asking, answer, out):
                one.cancel()

    async def _ask(self, request: Request) -> None:
        try:
            self._requests.write(packed(request))
            await self._requests.drain()
        except OSError:
            return  # it has ended already; the end says how

    async def _answer(self) -> bytes | None:
        try:
            (size,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
            self._take(size)
            return await self._answers.readexactly(size)
        except (asyncio.IncompleteReadError, OSError, _TooMuchOutput):
            return None

    async def _read_out(self) -> None:
        try:
            while part := await self._out.read(1 << 16):
                self._take(len(part))
                self._written += part
        except (OSError, _TooMuchOutput):
            return

    def _take(self, size: int) -> None:
        if size > self._left:
            self._is_cut = True
            self._hold.write_eof()
            raise _TooMuchOutput
        self._left -= size

    async def _end(self) -> End | None:
        """None when the nursery died, and the cell with it."""
        try:
            (size,) = LENGTH.unpack(await self._life.readexactly(LENGTH.size))
            return cast(End, unpacked(await self._life.readexactly(size)))
        except (asyncio.IncompleteReadError, OSError):
            return None
