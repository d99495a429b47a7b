"""A real HTTP server on a free loopback port, and the client under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from headrace.graph.json_types import JsonValue
from headrace.graph.template import Scope
from headrace.graph.variables import Operation
from headrace.nodes.base import Http, HttpRequest, HttpResponse, NodeContext
from headrace.nodes.guard import Guard
from headrace.nodes.http import GuardedHttp


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers each path with the bytes that a test put there; 404 elsewhere."""

    port: int = 0
    connections: int = 0
    replies: dict[str, bytes] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    hang: asyncio.Event = field(default_factory=asyncio.Event)
    conversations: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def on(self, path: str, body: bytes = b"", status: str = "200 OK", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.replies[path] = "\r\n".join([*lines, "", ""]).encode() + body

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self.conversations.add(task)
        task.add_done_callback(self.conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(method, target, headers, body))
        path = target.partition("?")[0]
        if path == "/hang":
            await self.hang.wait()
        if path == "/drop":
            return False
        writer.write(self.replies.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        return True


async def _serving() -> AsyncIterator[Server]:
    one = Server()
    listener = await asyncio.start_server(one.accept, "127.0.0.1", 0)
    one.port = listener.sockets[0].getsockname()[1]
    yield one
    one.hang.set()
    listener.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*one.conversations)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async for one in _serving():
        yield one


@pytest.fixture
async def other_server() -> AsyncIterator[Server]:
    """A second origin."""
    async for one in _serving():
        yield one


@pytest.fixture
async def http(server: Server) -> AsyncIterator[GuardedHttp]:
    """A client that may reach 127.0.0.1; port 1 stands for the own API."""
    client = GuardedHttp(Guard("127.0.0.1", ("127.0.0.1", 1)))
    yield client
    await client.aclose()


class NoHttp:
    """For nodes that make no call."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        raise AssertionError(f"unexpected call: {request}")


class NoVariables:
    """For nodes that use none."""

    async def read(self, scope: str, name: str, default: JsonValue = None) -> JsonValue:
        raise AssertionError(f"unexpected read: {(scope, name, default)}")

    async def change(self, scope: str, name: str, operation: Operation, value: JsonValue) -> JsonValue:
        raise AssertionError(f"unexpected change: {(scope, name, operation, value)}")


def context(input: JsonValue, http: Http | None = None, **names: JsonValue) -> NodeContext:
    """A node's view of a run with this input; names: what `${ path }` may name besides."""
    return NodeContext(
        run_id="run",
        node_id="node",
        node_name="Node",
        attempt=1,
        idempotency_key="task-1",
        scope=Scope(input, names),
        http=http or NoHttp(),
        variables=NoVariables(),
    )


def lines(context: NodeContext) -> list[tuple[str, str]]:
    """What the node wrote into the run's log: kind and message."""
    return [(line.kind, line.message) for line in context.log]
