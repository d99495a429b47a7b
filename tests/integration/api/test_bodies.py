"""What may not be in a body, and that no body whatever makes the API answer 5xx."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import anyio.from_thread
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.api.body import BODY_LIMIT, DEEPEST, DEFINITION_LIMIT
from headrace.graph.json_types import JsonObject, JsonValue
from support.api import saved, serving, settings_for
from support.build import chain

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


async def post(client: httpx.AsyncClient, url: str, body: bytes | AsyncIterator[bytes]) -> httpx.Response:
    return await client.post(url, content=body, headers=JSON)


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    """A body whose length nobody announces."""
    yield b'{"input": "'
    for _ in range(size // 65_536 + 1):
        yield b"x" * 65_536
    yield b'"}'


async def test_a_run_s_body_is_limited(client: httpx.AsyncClient) -> None:
    url = f"/workflows/{await saved(client, chain(1))}/execute-async"
    fitting = b'{"input": "' + b"x" * (BODY_LIMIT - 100) + b'"}'
    assert (await post(client, url, fitting)).status_code == 201
    for body in (b" " * BODY_LIMIT + fitting, in_pieces(BODY_LIMIT)):
        response = await post(client, url, body)
        assert response.status_code == 413
        assert response.json() == {
            "message": "The body is larger than 1 MiB",
            "error": "Payload Too Large",
            "statusCode": 413,
        }
    assert len((await client.get("/runs")).json()["items"]) == 1


async def test_a_definition_s_body_may_be_larger(client: httpx.AsyncClient) -> None:
    document = chain(1) | {"outputs": {"text": "x" * (2 * BODY_LIMIT)}}
    workflow_id = await saved(client, document)
    assert (await client.put(f"/workflows/{workflow_id}", json=document)).status_code == 200
    for method, url in (("POST", "/workflows"), ("PUT", f"/workflows/{workflow_id}")):
        response = await client.request(method, url, content=in_pieces(DEFINITION_LIMIT), headers=JSON)
        assert response.status_code == 413


async def test_a_false_length_is_refused_before_the_body_comes(client: httpx.AsyncClient) -> None:
    headers = JSON | {"Content-Length": str(DEFINITION_LIMIT + 1)}
    response = await client.post("/workflows", content=b"{}", headers=headers)
    assert response.status_code == 413


UNSTORABLE: dict[str, tuple[bytes, str]] = {
    "NaN": (b'{"input": {"a": [1, NaN]}}', "input.a[1]"),
    "Infinity": (b'{"input": -Infinity}', "input"),
    "too large a number": (b'{"input": 1e999}', "input"),
    "NUL": (b'{"input": ["a\\u0000b"]}', "input[0]"),
    "NUL in a key": (b'{"input": {"a\\u0000": 1}}', "input.a\\x00"),
    "lone surrogate": (b'{"input": {"name": "\\ud800"}}', "input.name"),
    "lone surrogate in a key": (b'{"input": {"\\udfff": 1}}', "input.\\udfff"),
    "too deep": (b'{"input": ' + b"[" * DEEPEST + b"]" * DEEPEST + b"}", "input" + "[0]" * (DEEPEST - 1)),
}


@pytest.mark.parametrize(("body", "path"), UNSTORABLE.values(), ids=UNSTORABLE)
async def test_what_cannot_be_stored_is_422_with_its_path(
    client: httpx.AsyncClient, body: bytes, path: str
) -> None:
    url = f"/workflows/{await saved(client, chain(1))}/execute-async"
    response = await post(client, url, body)
    assert response.status_code == 422, response.text
    assert [problem["path"] for problem in response.json()["details"]] == [path]
    assert (await client.get("/runs")).json() == {"items": []}


async def test_what_can_just_be_stored_is_taken(client: httpx.AsyncClient) -> None:
    url = f"/workflows/{await saved(client, chain(1))}/execute-async"
    deep: JsonValue = "end"
    for _ in range(DEEPEST - 1):
        deep = [deep]
    for value in (deep, "\U0001f600", "\\u0000", {"": {"": ""}}, 10**400, 1.5e-300):
        response = await client.post(url, json={"input": value})
        assert response.status_code == 201, response.text
        assert (await client.get(f"/runs/{response.json()['runId']}")).json()["input"] == value


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[]",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b'{"input": 1} x',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 5000,
    ],
    ids=repr,
)
@pytest.mark.parametrize("url", ["/workflows", "/api-templates"])
async def test_what_is_no_json_object_is_refused(client: httpx.AsyncClient, url: str, body: bytes) -> None:
    response = await post(client, url, body)
    assert response.status_code in (400, 422)
    assert set(response.json()) >= {"message", "error", "statusCode"}


async def test_what_a_run_s_body_does_not_know_is_refused(client: httpx.AsyncClient) -> None:
    url = f"/workflows/{await saved(client, chain(1))}/execute-async"
    response = await client.post(url, json={"city": "Dubai"})
    assert response.status_code == 422
    assert response.json()["details"][0]["path"] == "city"
    assert (await client.post(url, content=b'{"input": 1}')).status_code == 422  # says not that it is JSON


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()))
)
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
NODES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["a", "b", "c"]) | ANY,
            "type": st.sampled_from(["notification", "ifElse", "decision", "apiCall", "delay", "inputText"]),
            "config": ANY,
            "join": st.sampled_from(["all", "any_success", "quorum:2", "quorum:x"]) | ANY,
            "retry": ANY,
            "base": ANY,
            "finally": st.booleans(),
        },
    ),
    max_size=3,
)
EDGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "source": st.sampled_from(["a", "b", "z"]) | ANY,
            "target": st.sampled_from(["a", "b"]),
            "branch": st.sampled_from(["out-true", "odd"]),
            "on": st.sampled_from(["failure", "always", "never"]),
            "when": ANY,
        },
    ),
    max_size=3,
)
DEFINITIONS = st.fixed_dictionaries(
    {}, optional={"name": st.text() | ANY, "nodes": NODES | ANY, "edges": EDGES | ANY, "workflow": ANY}
)
BODIES = st.binary() | (ANY | DEFINITIONS).map(lambda value: json.dumps(value).encode())


@pytest.fixture(scope="module")
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def urls(
    portal: anyio.from_thread.BlockingPortal, database_url: str, redis_url: str
) -> Iterator[tuple[httpx.AsyncClient, list[str]]]:
    """A client in a loop of its own: Hypothesis calls a plain function many times."""
    with portal.wrap_async_context_manager(serving(settings_for(database_url, redis_url))) as client:
        workflow_id = portal.call(saved, client, chain(1))
        yield client, ["/workflows", f"/workflows/{workflow_id}/execute-async", "/api-templates"]


@given(body=BODIES, number=st.integers(0, 2))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_body_breaks_the_api(
    portal: anyio.from_thread.BlockingPortal,
    urls: tuple[httpx.AsyncClient, list[str]],
    body: bytes,
    number: int,
) -> None:
    client, places = urls
    response = portal.call(post, client, places[number], body)
    assert response.status_code in (201, 400, 422), response.text
    answer: JsonObject = response.json()
    assert isinstance(answer, dict)
