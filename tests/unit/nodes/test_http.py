from __future__ import annotations

import asyncio
import base64
import gzip
import ipaddress
import re
import socket
import zlib
from collections.abc import AsyncIterator

import pytest

from headrace.nodes.base import (
    HttpError,
    HttpRequest,
    HttpTimeout,
    InvalidRequest,
    RefusedAddress,
    ResponseTooLarge,
)
from headrace.nodes.guard import Guard
from headrace.nodes.http import MAX_BODY, MAX_REDIRECTS, GuardedHttp
from headrace.nodes.network import system_resolve

from .conftest import Server

pytestmark = pytest.mark.anyio


def get(url: str, timeout: float = 10.0, **headers: str) -> HttpRequest:
    return HttpRequest(
        "GET", url, {name.replace("_", "-"): value for name, value in headers.items()}, timeout=timeout
    )


class Names:
    """A name server whose answers a test writes. The system knows the spellings of addresses."""

    def __init__(self, **answers: list[str]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host in self._answers:
            return self._answers[host]
        if not re.fullmatch(r"[0-9a-fx.:]+(%.*)?", host, re.IGNORECASE):  # a name: no test asks the network
            raise OSError("Name or service not known")
        return await system_resolve(host, port)


async def test_the_answer_comes_with_status_reason_headers_and_body(
    server: Server, http: GuardedHttp
) -> None:
    server.on("/x", b"hello", status="201 Made", X_One="1")

    answer = await http.send(get(server.url("/x?a=1"), X_Mine="yes"))

    assert (answer.status, answer.reason, answer.body, answer.headers["x-one"]) == (
        201,
        "Made",
        b"hello",
        "1",
    )
    assert server.received[0].target == "/x?a=1"
    assert server.received[0].headers["x-mine"] == "yes"
    assert server.received[0].headers["host"] == f"127.0.0.1:{server.port}"


async def test_a_missing_reason_is_the_standard_one(server: Server, http: GuardedHttp) -> None:
    server.replies["/"] = b"HTTP/1.1 418 \r\nContent-Length: 0\r\n\r\n"

    assert (await http.send(get(server.url()))).reason == "I'm a Teapot"


async def test_params_are_escaped_and_join_those_of_the_url(server: Server, http: GuardedHttp) -> None:
    params = (("city", "New York & co"), ("tag", "a"), ("tag", "b"))

    await http.send(HttpRequest("GET", server.url("/?q=1"), {}, params=params))

    assert server.received[0].target == "/?q=1&city=New+York+%26+co&tag=a&tag=b"


async def test_the_body_is_sent_and_its_framing_is_ours(server: Server, http: GuardedHttp) -> None:
    headers = {"Content-Length": "3", "Transfer-Encoding": "chunked"}

    await http.send(HttpRequest("POST", server.url(), headers, content="Zürich".encode()))

    assert server.received[0].body == "Zürich".encode()
    assert "transfer-encoding" not in server.received[0].headers


async def test_connections_are_used_again(server: Server, http: GuardedHttp) -> None:
    for _ in range(3):
        await http.send(get(server.url()))

    assert server.connections == 1


async def test_a_server_that_hangs_ends_in_a_timeout(server: Server, http: GuardedHttp) -> None:
    with pytest.raises(HttpTimeout, match=r"^Request timeout$"):
        await http.send(get(server.url("/hang"), timeout=0.05))


async def test_a_connection_that_breaks_is_an_error(server: Server, http: GuardedHttp) -> None:
    with pytest.raises(HttpError, match="connection broke") as caught:
        await http.send(get(server.url("/drop")))

    assert caught.value.retryable


async def test_a_closed_port_is_an_error(http: GuardedHttp) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(HttpError, match="Cannot connect"):
            await http.send(get(f"http://127.0.0.1:{taken.getsockname()[1]}/"))


async def test_tls_asks_for_the_name_and_not_for_the_address() -> None:
    hello: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(4096))
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    client = GuardedHttp(
        Guard("127.0.0.1", ("127.0.0.1", 1)), Names(**{"tls.example": ["127.0.0.1"]}).resolve
    )
    async with listener:
        with pytest.raises(HttpError, match="Cannot connect"):
            await client.send(get(f"https://tls.example:{port}/"))
    await client.aclose()

    assert b"tls.example" in await hello


async def test_a_handshake_that_hangs_leaves_no_connection_behind(server: Server, http: GuardedHttp) -> None:
    with pytest.raises(HttpTimeout):
        await http.send(get(server.url().replace("http:", "https:"), timeout=0.1))

    async with asyncio.timeout(5):
        await asyncio.gather(*server.conversations)
    assert server.connections == 1


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "nul\x00"])
async def test_a_header_cannot_smuggle_another(server: Server, http: GuardedHttp, value: str) -> None:
    with pytest.raises(InvalidRequest):
        await http.send(get(server.url(), X_Mine=value))

    assert server.received == []


async def test_credentials_in_the_url_become_basic_auth(server: Server, http: GuardedHttp) -> None:
    await http.send(get(server.url().replace("//", "//ann:s%40fe@")))

    assert server.received[0].headers["authorization"] == "Basic " + base64.b64encode(b"ann:s@fe").decode()


async def test_cookies_of_one_call_are_not_sent_by_the_next(server: Server, http: GuardedHttp) -> None:
    server.on("/", Set_Cookie="session=1")

    await http.send(get(server.url()))
    await http.send(get(server.url()))

    assert "cookie" not in server.received[1].headers


async def test_a_body_of_the_limit_arrives_and_one_byte_more_does_not(
    server: Server, http: GuardedHttp
) -> None:
    server.on("/most", b"x" * MAX_BODY)
    server.on("/more", b"x" * (MAX_BODY + 1))

    assert len((await http.send(get(server.url("/most")))).body) == MAX_BODY
    with pytest.raises(ResponseTooLarge, match="8 MiB"):
        await http.send(get(server.url("/more")))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_packed_body_is_unpacked(
    server: Server, http: GuardedHttp, encoding: str, pack: object
) -> None:
    assert callable(pack)
    server.on("/", pack(b"hello " * 50_000), Content_Encoding=encoding)

    assert (await http.send(get(server.url()))).body == b"hello " * 50_000


async def test_a_compressed_bomb_is_cut_off(server: Server, http: GuardedHttp) -> None:
    server.on("/", gzip.compress(bytes(MAX_BODY * 8)), Content_Encoding="gzip")

    with pytest.raises(ResponseTooLarge):
        await http.send(get(server.url()))


async def test_a_broken_packing_is_an_error(server: Server, http: GuardedHttp) -> None:
    server.on("/", b"this is no gzip", Content_Encoding="gzip")

    with pytest.raises(HttpError, match="not packed as it says"):
        await http.send(get(server.url()))


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
async def test_a_redirect_keeps_or_changes_the_method(
    server: Server, http: GuardedHttp, status: int, method: str, becomes: str
) -> None:
    server.on("/old", status=f"{status} Moved", Location="/new")
    content = None if method == "HEAD" else b"body"

    await http.send(HttpRequest(method, server.url("/old"), {"Content-Type": "text/plain"}, content=content))

    second = server.received[1]
    assert (second.method, second.target) == (becomes, "/new")
    assert second.body == (b"body" if becomes in ("POST", "PUT") else b"")
    assert ("content-type" in second.headers) is (becomes == method)


async def test_five_redirects_are_followed_and_six_are_not(server: Server, http: GuardedHttp) -> None:
    for hop in range(MAX_REDIRECTS + 1):
        server.on(f"/{hop}", status="302 Found", Location=f"/{hop + 1}")
    server.on(f"/{MAX_REDIRECTS + 1}", b"end")

    assert (await http.send(get(server.url("/1")))).body == b"end"
    with pytest.raises(HttpError, match="More than 5 redirects"):
        await http.send(get(server.url("/0")))


async def test_credentials_stay_with_their_origin(
    server: Server, other_server: Server, http: GuardedHttp
) -> None:
    server.on("/same", status="302 Found", Location="/away")
    server.on("/away", status="302 Found", Location=other_server.url("/"))

    await http.send(get(server.url("/same"), Authorization="Bearer x", Cookie="a=b", X_Mine="1"))

    assert server.received[1].headers["authorization"] == "Bearer x"
    assert "authorization" not in other_server.received[0].headers
    assert "cookie" not in other_server.received[0].headers
    assert other_server.received[0].headers["host"] == f"127.0.0.1:{other_server.port}"
    assert other_server.received[0].headers["x-mine"] == "1"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://[::1/"])
async def test_a_redirect_to_something_else_than_http_is_refused(
    server: Server, http: GuardedHttp, target: str
) -> None:
    server.on("/", status="302 Found", Location=target)

    with pytest.raises(InvalidRequest):
        await http.send(get(server.url()))


HOSTILE = """
http://127.0.0.1:PORT/ http://127.1:PORT/ http://127.0.1:PORT/ http://2130706433:PORT/ http://0x7f000001:PORT/
http://0x7f.0x0.0x0.0x1:PORT/ http://0x7f.1:PORT/ http://017700000001:PORT/ http://0177.0.0.1:PORT/
http://0177.0.0.01:PORT/ http://00000177.1:PORT/ http://127.000.000.001:PORT/ http://0:PORT/ http://0.0.0.0:PORT/
http://127.0.0.1.:PORT/ http://127.9.8.7:PORT/ http://127。0。0。1:PORT/ http://127%2e0%2e0%2e1:PORT/
http://１２７.0.0.1:PORT/ http://①②⑦.0.0.1:PORT/ http://[::1]:PORT/ http://[::]:PORT/
http://[::ffff:127.0.0.1]:PORT/ http://[::ffff:7f00:1]:PORT/ http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/
http://[::127.0.0.1]:PORT/ http://[::ffff:0:127.0.0.1]:PORT/ http://[64:ff9b::127.0.0.1]:PORT/
http://[64:ff9b:1::7f00:1]:PORT/ http://[2002:7f00:1::]:PORT/ http://[2001:0:7f00:1::]:PORT/
http://[fe80::1]:PORT/ http://[fe80::1%25lo]:PORT/ http://[fc00::1]:PORT/ http://[fd00:ec2::254]:PORT/
http://[fec0::1]:PORT/ http://[ff02::1]:PORT/ http://localhost:PORT/ http://LOCALHOST:PORT/
http://localhost.:PORT/ http://a.localhost:PORT/ http://user@127.0.0.1:PORT/ http://1.1.1.1@127.0.0.1:PORT/
http://1.1.1.1:80@127.0.0.1:PORT/ http://1.1.1.1%23@127.0.0.1:PORT/ http://1.1.1.1\\@127.0.0.1:PORT/
http://1.1.1.1&@127.0.0.1:PORT/ http://127.0.0.1:PORT#@1.1.1.1/ http://127.0.0.1:PORT?@1.1.1.1/
HTTP://127.0.0.1:PORT/ https://127.0.0.1:PORT/ http:127.0.0.1:PORT/
http:/127.0.0.1:PORT/ http:///127.0.0.1:PORT/ //127.0.0.1:PORT/ 127.0.0.1:PORT http://127.0.0.1:PORT:80/
http://169.254.169.254/latest/meta-data/ http://0xa9fea9fe/ http://2852039166/ http://0251.0376.0251.0376/
http://[::ffff:169.254.169.254]/ http://[::ffff:a9fe:a9fe]/ http://169.254.170.2/ http://100.100.100.200/
http://192.0.0.192/ http://168.63.129.16/ http://10.0.0.1/ http://172.16.0.1/ http://192.168.1.1/
http://198.18.0.1/ http://224.0.0.1/ http://240.0.0.1/ http://255.255.255.255/ http://100.64.0.1/
http://loopback.example:PORT/ http://mixed.example:PORT/ http://mixed6.example:PORT/ http://mapped.example:PORT/
http://nat64.example:PORT/ http://metadata.example/ http://private.example/ http://nothing.example/
http://empty.example/ file:///etc/passwd file://127.0.0.1/etc/passwd gopher://127.0.0.1:PORT/ ftp://127.0.0.1:PORT/
dict://127.0.0.1:PORT/ ldap://127.0.0.1:PORT/ unix:///run/docker.sock data:text/plain,x javascript:1 ws://127.0.0.1:PORT/
http:// https:// http://:PORT/ http://127.0.0.1:0/ http://127.0.0.1:99999/ http://127.0.0.1:x/ /relative
"""
NAMES = {
    "loopback.example": ["127.0.0.1"],
    "mixed.example": ["1.1.1.1", "127.0.0.1"],
    "mixed6.example": ["2606:4700:4700::1111", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "metadata.example": ["169.254.169.254"],
    "private.example": ["10.1.2.3"],
    "empty.example": [],
}


@pytest.fixture
async def walled() -> AsyncIterator[GuardedHttp]:
    """A client that may reach nothing but the public internet."""
    client = GuardedHttp(Guard("", ("127.0.0.1", 1)), Names(**NAMES).resolve)
    yield client
    await client.aclose()


@pytest.mark.parametrize("url", HOSTILE.split())
async def test_no_hostile_url_reaches_a_private_server(server: Server, walled: GuardedHttp, url: str) -> None:
    with pytest.raises(HttpError) as caught:
        await walled.send(get(url.replace("PORT", str(server.port)), timeout=2))

    assert (
        isinstance(caught.value, RefusedAddress | InvalidRequest)
        or "resolve" in caught.value.message
        or ("has no address" in caught.value.message)
    )
    assert server.connections == 0


async def test_many_of_the_hostile_urls_do_reach_it_without_the_guard(server: Server) -> None:
    open_wide = GuardedHttp(Guard("0.0.0.0/0 ::/0", ("127.0.0.1", 1)), Names(**NAMES).resolve)
    urls = [one.replace("PORT", str(server.port)) for one in HOSTILE.split() if "PORT" in one]
    await asyncio.gather(*(open_wide.send(get(url, timeout=1)) for url in urls), return_exceptions=True)
    await open_wide.aclose()

    assert server.connections >= 20


async def test_a_name_is_resolved_once_and_that_answer_is_connected_to(server: Server) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def rebinding(host: str, port: int) -> list[str]:
        return next(answers)

    client = GuardedHttp(Guard("127.0.0.0/8", ("127.0.0.1", 1)), rebinding)
    await client.send(get(server.url(host="rebinding.example")))
    await client.aclose()

    assert server.received[0].headers["host"] == f"rebinding.example:{server.port}"
    assert next(answers) == ["10.0.0.1"]


@pytest.mark.parametrize("target", ["http://169.254.169.254/", "http://0x7f.1:PORT/", "//127.0.0.1:PORT/x"])
async def test_a_redirect_to_a_private_address_is_refused(
    server: Server, other_server: Server, target: str
) -> None:
    client = GuardedHttp(Guard(f"127.0.0.1:{server.port}", ("127.0.0.1", 1)))
    server.on("/", status="302 Found", Location=target.replace("PORT", str(other_server.port)))

    with pytest.raises(RefusedAddress):
        await client.send(get(server.url()))
    await client.aclose()

    assert other_server.connections == 0


async def test_localhost_3000_is_the_own_api_wherever_it_listens(server: Server) -> None:
    client = GuardedHttp(Guard("", ("127.0.0.1", server.port)))

    await client.send(get("http://localhost:3000/health?x=1"))
    await client.send(get(server.url("/", host="localhost")))
    await client.aclose()

    assert [one.target for one in server.received] == ["/health?x=1", "/"]


async def test_the_own_api_may_redirect_to_itself_but_nobody_else_may(
    server: Server, other_server: Server
) -> None:
    client = GuardedHttp(Guard(f"127.0.0.1:{other_server.port}", ("127.0.0.1", server.port)))
    server.on("/old", status="302 Found", Location="http://localhost:3000/new")
    other_server.on("/", status="307 Temporary Redirect", Location=server.url("/workflows"))

    assert (await client.send(get(server.url("/old")))).status == 404
    with pytest.raises(RefusedAddress, match="own API"):
        await client.send(get(other_server.url()))
    await client.aclose()

    assert [one.target for one in server.received] == ["/old", "/new"]


async def test_the_next_address_is_tried_when_the_first_does_not_answer(server: Server) -> None:
    client = GuardedHttp(
        Guard("127.0.0.0/8", ("127.0.0.1", 1)), Names(two=["127.0.0.2", "127.0.0.1"]).resolve
    )

    assert (await client.send(get(server.url(host="two")))).status == 404
    await client.aclose()


async def test_a_proxy_of_the_environment_is_not_used(
    server: Server, other_server: Server, http: GuardedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", other_server.url())
    monkeypatch.setenv("ALL_PROXY", other_server.url())

    await http.send(get(server.url()))

    assert (server.connections, other_server.connections) == (1, 0)


async def test_the_system_knows_the_spellings_of_an_address() -> None:
    assert await system_resolve("0x7f.1", 80) == ["127.0.0.1"]
    assert all(ipaddress.ip_address(one).is_loopback for one in await system_resolve("localhost", 80))


async def test_many_calls_go_at_once(server: Server, http: GuardedHttp) -> None:
    answers = await asyncio.gather(*(http.send(get(server.url(f"/{number}"))) for number in range(50)))

    assert {one.status for one in answers} == {404}
    assert len(server.received) == 50
