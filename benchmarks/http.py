"""HTTP in its smallest form: a client that costs little, and a server that answers late."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from headrace.graph.json_types import JsonValue


@dataclass
class Connection:
    """A kept-alive connection to a server on loopback."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, method: str, path: str, body: JsonValue = None) -> tuple[int, JsonValue]:
        """The status and the JSON of an answer, which must give its length."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
        self.writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + content)
        await self.writer.drain()
        status = int((await self.reader.readline()).split()[1])
        text = await self.reader.readexactly(await _length(self.reader))
        return status, json.loads(text) if text else None


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[Connection]:
    """Raises OSError while nobody listens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _length(reader: asyncio.StreamReader) -> int:
    """Reads headers to their end; the length of what follows."""
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return length


@dataclass
class LateServer:
    """Answers `{"<path>": true}` after `delay` seconds. calls: how often each path was asked."""

    delay: float
    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while request := await reader.readline():
                await reader.readexactly(await _length(reader))
                path = request.split()[1].decode().strip("/")
                self.calls[path] += 1
                await asyncio.sleep(self.delay)
                body = json.dumps({path: True}).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
                writer.write(f"{head}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def late_server(delay: float) -> AsyncIterator[LateServer]:
    """A server on a free port of loopback, in the running loop."""
    late = LateServer(delay)
    listening = await asyncio.start_server(late.serve, "127.0.0.1", 0, backlog=512)
    late.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield late
