"""Connections that the guard has judged: the part of httpcore that opens sockets, replaced."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

import httpcore

from headrace.nodes.base import HttpError, InvalidRequest, RefusedAddress
from headrace.nodes.guard import Guard

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

MAX_ADDRESSES = 6
NEXT_ADDRESS_SECONDS = 2.0


async def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the system's order. Raises OSError or UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name itself, lets the guard judge, and connects to an address that it judged."""

    def __init__(self, guard: Guard, resolve: Resolve) -> None:
        self._guard = guard
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        if reason := self._guard.check(host, port, addresses):
            raise RefusedAddress(reason)
        *others, last = addresses[:MAX_ADDRESSES]
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _Stream(await self._network.connect_tcp(address, port, NEXT_ADDRESS_SECONDS))
        return _Stream(await self._network.connect_tcp(last, port, timeout, local_address, socket_options))

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except ValueError as error:
            raise InvalidRequest(f"'{host}' is no name of a host: {error}") from error
        except OSError as error:
            raise HttpError(f"'{host}' does not resolve: {error}") from error
        if not addresses:
            raise HttpError(f"'{host}' has no address")
        return addresses


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is cancelled; httpcore's own would stay open."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await self._inner.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)
