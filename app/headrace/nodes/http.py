"""The way out: HTTP calls whose every connection the guard has judged."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import TypeAlias

import httpcore
import httpx

from headrace.nodes.base import (
    HttpError,
    HttpRequest,
    HttpResponse,
    HttpTimeout,
    InvalidRequest,
    RefusedAddress,
    ResponseTooLarge,
)
from headrace.nodes.guard import Guard
from headrace.nodes.network import GuardedNetwork, Resolve, system_resolve

Headers: TypeAlias = tuple[tuple[str, str], ...]

MAX_BODY = 8 * 1024 * 1024
MAX_REDIRECTS = 5
# Shorter than the idle time of common servers (5 s), so that a connection is not reused while they close it.
KEEPALIVE_SECONDS = 3.0

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OUR_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
_FOR_ONE_ORIGIN = frozenset({"authorization", "proxy-authorization", "cookie", "host"})
_ABOUT_CONTENT = frozenset({"content-type", "content-encoding", "content-language"})
_DEFAULTS: Headers = (("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate"), ("User-Agent", "headrace"))


_POOLS = 8
"""At each call a pool looks at all its connections, for each at all again. Small ones are quick."""

_CONNECTIONS = 1000
_KEPT_ALIVE = 104


@dataclass(frozen=True, slots=True)
class _Hop:
    """One exchange on the way: the request itself, or what a redirect made of it."""

    method: str
    url: httpx.URL
    headers: Headers
    content: bytes | None


class GuardedHttp:
    """Implements `base.Http` with pools of connections; they belong to the event loop that uses them first.

    Proxies of the environment are not used: they would resolve names out of the guard's sight.
    `localhost:3000` in a URL means this system's own API, wherever it listens.
    """

    def __init__(self, guard: Guard, resolve: Resolve = system_resolve) -> None:
        self._guard = guard
        self._resolve = resolve
        self._calls: Counter[httpcore.AsyncConnectionPool] = Counter()

    @cached_property
    def _pools(self) -> tuple[httpcore.AsyncConnectionPool, ...]:
        context, network = httpx.create_ssl_context(), GuardedNetwork(self._guard, self._resolve)
        return tuple(
            httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=_CONNECTIONS // _POOLS,
                max_keepalive_connections=_KEPT_ALIVE // _POOLS,
                keepalive_expiry=KEEPALIVE_SECONDS,
                network_backend=network,
            )
            for _ in range(_POOLS)
        )

    @contextmanager
    def _least_busy(self) -> Iterator[httpcore.AsyncConnectionPool]:
        """A pool for one call: the first one as long as calls follow each other, so that it connects once."""
        pool = min(self._pools, key=self._calls.__getitem__)
        self._calls[pool] += 1
        try:
            yield pool
        finally:
            self._calls[pool] -= 1

    async def aclose(self) -> None:
        """Closes the connections."""
        if "_pools" in self.__dict__:
            for pool in self._pools:
                await pool.aclose()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Makes the call and follows at most 5 redirects, all within the request's timeout.

        Raises HttpTimeout, InvalidRequest, RefusedAddress, ResponseTooLarge or another HttpError.
        """
        try:
            async with asyncio.timeout(request.timeout):
                return await self._follow(self._first(request))
        except TimeoutError as error:
            raise HttpTimeout from error

    async def _follow(self, hop: _Hop) -> HttpResponse:
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._exchange(hop)
            target = response.headers.get("location")
            if response.status not in _REDIRECTS or not target:
                return response
            hop = self._redirected(hop, response.status, target)
        raise HttpError(f"More than {MAX_REDIRECTS} redirects")

    async def _exchange(self, hop: _Hop) -> HttpResponse:
        try:
            with self._least_busy() as pool:
                async with pool.stream(
                    hop.method, _wire_url(hop.url), headers=_wire_headers(hop), content=hop.content
                ) as response:
                    return await _read(response)
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
            # ValueError: a host name that TLS does not take.
            raise InvalidRequest(f"The request cannot be sent: {error}") from error
        except httpcore.ConnectError as error:
            raise HttpError(f"Cannot connect to {hop.url.netloc.decode()}: {error}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise HttpError(f"The connection broke: {error or type(error).__name__}") from error

    def _first(self, request: HttpRequest) -> _Hop:
        url = self._url(request.url)
        if request.params:
            url = url.copy_merge_params(httpx.QueryParams(request.params))
        headers = tuple((name, value) for name, value in request.headers.items() if _is_ours_to_send(name))
        return _Hop(request.method, url, headers, request.content)

    def _redirected(self, hop: _Hop, status: int, target: str) -> _Hop:
        url = self._url(target, base=hop.url)
        if self._is_own(url) and not self._is_own(hop.url):
            # Somebody else's server must not steer this call into our own API.
            raise RefusedAddress(f"A redirect from '{hop.url.host}' to this system's own API is not followed")
        if _origin(url) != _origin(hop.url):
            hop = replace(hop, headers=_without(hop.headers, _FOR_ONE_ORIGIN))
        if (status == 303 and hop.method != "HEAD") or (status in (301, 302) and hop.method == "POST"):
            hop = replace(hop, method="GET", content=None, headers=_without(hop.headers, _ABOUT_CONTENT))
        return replace(hop, url=url)

    def _url(self, text: str, base: httpx.URL | None = None) -> httpx.URL:
        try:
            url = base.join(text) if base else httpx.URL(text.strip())
        except (httpx.InvalidURL, ValueError) as error:
            raise InvalidRequest(f"Invalid URL: {error}") from error
        if url.scheme not in ("http", "https"):
            raise InvalidRequest(f"Invalid URL: it must start with http:// or https://, not '{url.scheme}'")
        if not url.host or not 0 < _port(url) < 65_536:
            raise InvalidRequest("Invalid URL: it names no host, or no valid port")
        return self._own_url(url)

    def _own_url(self, url: httpx.URL) -> httpx.URL:
        host, port = self._guard.own
        if url.host == "localhost" and _port(url) in (3000, port):
            return url.copy_with(host=host, port=port)
        return url

    def _is_own(self, url: httpx.URL) -> bool:
        return self._guard.is_own(url.host, _port(url))


async def _read(response: httpcore.Response) -> HttpResponse:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = bytearray()
    inflate = _inflater(headers)
    async for chunk in response.aiter_stream():
        for piece in _unpacked(inflate, chunk):
            body += piece
            if len(body) > MAX_BODY:
                raise ResponseTooLarge(f"The response is larger than {MAX_BODY // 1024 // 1024} MiB")
    return HttpResponse(response.status, _reason(response), headers, bytes(body))


def _inflater(headers: Mapping[str, str]) -> zlib._Decompress | None:
    encoding = headers.get("content-encoding", "").strip().lower()
    is_packed = encoding in ("gzip", "x-gzip", "deflate")
    return zlib.decompressobj(wbits=32 + zlib.MAX_WBITS) if is_packed else None


def _unpacked(inflate: zlib._Decompress | None, chunk: bytes) -> Iterator[bytes]:
    """The chunk in pieces of bounded size: one of a compressed bomb holds a thousand times its size."""
    if inflate is None:
        yield chunk
        return
    try:
        while chunk:
            yield inflate.decompress(chunk, 65_536)
            chunk = inflate.unconsumed_tail
    except zlib.error as error:
        raise HttpError(f"The response is not packed as it says: {error}") from error


def _reason(response: httpcore.Response) -> str:
    phrase = response.extensions.get("reason_phrase")
    if isinstance(phrase, bytes) and phrase:
        return phrase.decode("latin-1")
    with suppress(ValueError):
        return HTTPStatus(response.status).phrase
    return ""


def _wire_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _wire_headers(hop: _Hop) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in hop.headers}
    defaults = [("Host", hop.url.netloc.decode()), *_DEFAULTS]
    if hop.url.userinfo:
        defaults.append(("Authorization", _basic(hop.url)))
    headers = [*((name, value) for name, value in defaults if name.lower() not in given), *hop.headers]
    return [(name.encode(errors="replace"), value.encode(errors="replace")) for name, value in headers]


def _basic(url: httpx.URL) -> str:
    return "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode()


def _is_ours_to_send(name: str) -> bool:
    return name.lower() not in _OUR_FRAMING


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() not in names)


def _port(url: httpx.URL) -> int:
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, _port(url)
