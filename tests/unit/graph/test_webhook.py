"""What a delivery must show."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.webhook import (
    SIGNATURES,
    delivery_id,
    is_fresh,
    is_signed,
    passes,
    shown,
    signed_bytes,
    time_of,
)

# From GitHub's documentation of webhooks.
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_github_s_own_example() -> None:
    headers = {"x-hub-signature-256": GITHUB_SIGNATURE}
    assert is_signed(GITHUB_SECRET, b"Hello, World!", headers)
    assert not is_signed(GITHUB_SECRET, b"Hello, World", headers)
    assert not is_signed("another", b"Hello, World!", headers)
    assert not is_signed(GITHUB_SECRET, b"Hello, World!", {})


@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("prefix", ["", "sha256="])
@given(body=st.binary(max_size=50), flip=st.integers(0, 63))
def test_each_header_and_every_digit_counts(name: str, prefix: str, body: bytes, flip: int) -> None:
    digest = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert is_signed("secret", body, {name: prefix + digest.upper() if prefix == "" else prefix + digest})
    wrong = digest[:flip] + ("0" if digest[flip] != "0" else "1") + digest[flip + 1 :]
    assert not is_signed("secret", body, {name: prefix + wrong})
    assert not is_signed("secret", body, {name: prefix + digest[:flip]})
    assert not is_signed("secret", body, {name: "ä"})


def test_a_time_is_signed_with_the_body() -> None:
    assert time_of({"x-webhook-timestamp": "5"}) == "5"
    assert signed_bytes(b"{}", "5") == b"5.{}"
    assert signed_bytes(b"{}", None) == b"{}"


@pytest.mark.parametrize(
    ("time", "is_near"),
    [("1000", True), ("1299.9", True), ("701", True), ("1301", False), ("699", False), ("", False),
     ("nan", False), ("inf", False), ("2026-01-01", False)],
)  # fmt: skip
def test_a_time_is_near_now(time: str, is_near: bool) -> None:
    assert is_fresh(time, 1000.0, 300.0) is is_near


def test_a_delivery_s_id_and_what_a_run_may_see() -> None:
    headers = {
        "x-github-delivery": "7",
        "content-type": "application/json",
        "authorization": "x",
        "signature": "y",
    }
    assert delivery_id(headers) == "7"
    assert delivery_id({"idempotency-key": ""}) is None
    assert shown(headers) == {"x-github-delivery": "7", "content-type": "application/json"}


PAYLOAD: JsonObject = {
    "action": "opened",
    "repo": {"name": "x", "tags": ["a", "b"]},
    "n": 1,
    "ok": True,
    "no": None,
}


@pytest.mark.parametrize(
    ("filters", "does"),
    [
        ({}, True),
        ({"action": "opened", "repo.name": "x"}, True),
        ({"action": "opened", "repo.name": "y"}, False),
        ({"repo.tags[1]": "b"}, True),
        ({"repo": {"name": "x", "tags": ["a", "b"]}}, True),
        ({"n": 1.0}, True),
        ({"n": True}, False),
        ({"ok": 1}, False),
        ({"no": None}, True),
        ({"missing": None}, False),
        ({"repo.name.length": 1}, False),
    ],
)
def test_filters(filters: dict[str, JsonValue], does: bool) -> None:
    assert passes(filters, PAYLOAD) is does
