"""No request of a user makes a mock endpoint answer 5xx."""

from __future__ import annotations

import json

import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from headrace.api.routes.mocks import building, campaigns, crm, enrichment, leads, weather
from support.mock_api import send_bytes

WRITING = [
    (method, route.path.strip("/").replace("{", "").replace("}", ""))
    for module in (building, campaigns, crm, enrichment, leads, weather)
    for route in module.router.routes
    if isinstance(route, APIRoute)
    for method in (route.methods or set()) & {"POST", "PATCH"}
]

# NaN, infinities, lone surrogates and deep nesting pass Python's json but not the way back.
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
_NAMES = st.sampled_from(
    ["first_name", "zone", "title", "properties", "temperature", "email", "Status", "score"]
)
_BODIES = st.one_of(
    st.binary(),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(_NAMES, _JSON).map(lambda value: json.dumps(value).encode()),
    st.integers(1, 5000).map(lambda depth: b'{"title":' + b"[" * depth + b"]" * depth + b"}"),
)


@given(endpoint=st.sampled_from(WRITING), body=_BODIES)
def test_no_body_breaks_an_endpoint(endpoint: tuple[str, str], body: bytes) -> None:
    method, path = endpoint
    response = send_bytes(method, path, body)
    assert response.status_code in (200, 201, 400, 422)


@pytest.mark.parametrize(
    "body", ["[]", "7", '"text"', "[{}]", "true", "{", "NaN", '{"zone": "\\ud800"}', "1e999"]
)
@pytest.mark.parametrize("endpoint", WRITING, ids="{0[0]} {0[1]}".format)
def test_a_body_that_is_no_plain_object_is_422(endpoint: tuple[str, str], body: str) -> None:
    method, path = endpoint
    response = send_bytes(method, path, body.encode())
    assert response.status_code == 422


def test_writing_endpoints_are_all_of_them() -> None:
    assert len(WRITING) == 16
