"""Calls the mock endpoints with known dice and a stopped clock, and compares answers with shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import TypeAlias

import anyio
import httpx
from fastapi import FastAPI

from headrace.api.routes.mocks import router
from headrace.api.routes.mocks.chance import Chance, chance

# What a value must look like: see `fits`.
Shape: TypeAlias = object
Answer: TypeAlias = dict[str, object]

DRAWS = 100
NOW = datetime(2030, 1, 31, 10, 0, tzinfo=UTC)
MS = "1896084000000"
NOW_TEXT = "2030-01-31T10:00:00.000Z"
TOMORROW = "2030-02-01T10:00:00.000Z"

_APP = FastAPI()
_APP.include_router(router)


def send(method: str, path: str, *, times: int = 1, json: object = None) -> list[httpx.Response]:
    """Calls an endpoint so many times, always with the same dice. path: relative to /workflows/api/."""

    async def send_all() -> list[httpx.Response]:
        async with _client() as client:
            return [await client.request(method, path, json=json) for _ in range(times)]

    return anyio.run(send_all)


def send_bytes(method: str, path: str, body: bytes) -> httpx.Response:
    """Calls an endpoint with a body that need not be JSON but says so."""

    async def send_once() -> httpx.Response:
        async with _client() as client:
            headers = {"Content-Type": "application/json"}
            return await client.request(method, path, content=body, headers=headers)

    return anyio.run(send_once)


def _client() -> httpx.AsyncClient:
    dice = Random(7)
    _APP.dependency_overrides[chance] = lambda: Chance(dice, NOW)
    return httpx.AsyncClient(transport=httpx.ASGITransport(_APP), base_url="http://mock/workflows/api/")


def answers(method: str, path: str, body: Mapping[str, object] | None = None) -> list[Answer]:
    """DRAWS answers of an endpoint; POST must answer 201, the others 200."""
    responses = send(method, path, times=DRAWS, json=body)
    assert {response.status_code for response in responses} == {201 if method == "POST" else 200}
    return [response.json() for response in responses]


def fits(value: object, shape: Shape) -> bool:
    """Whether a value has a shape.

    A shape is a type, a range of whole numbers, a pair of limits of a decimal, a set of texts, a pattern,
    an object with exactly these keys, or a constant.
    """
    match shape:
        case type():
            return type(value) is shape
        case range():
            return type(value) is int and value in shape
        case (float() as low, float() as high):
            return isinstance(value, float) and low <= value <= high
        case set():
            return value in shape
        case re.Pattern():
            return isinstance(value, str) and shape.fullmatch(value) is not None
        case dict():
            return isinstance(value, dict) and not misfits(value, shape)
        case _:
            return value == shape and type(value) is type(shape)


def misfits(value: Mapping[str, object], shape: Mapping[str, Shape]) -> dict[str, object]:
    """The fields that do not fit, are missing, or are too many."""
    names = set(value) | set(shape)
    good = {name for name in names & set(value) & set(shape) if fits(value[name], shape[name])}
    return {name: value.get(name, "missing") for name in names - good}


def all_fit(values: Sequence[Mapping[str, object]], shape: Mapping[str, Shape]) -> None:
    assert values
    for value in values:
        assert misfits(value, shape) == {}


def seen(values: Sequence[object], *path: str) -> set[object]:
    """The different values that a field took."""
    return {field(value, *path) for value in values}


def field(value: object, *path: str) -> object:
    """What is at the path, key by key."""
    for key in path:
        assert isinstance(value, dict)
        value = value[key]
    return value


def share(values: Sequence[object], *path: str) -> float:
    """How many of the values have true there, from 0 to 1."""
    return sum(field(value, *path) is True for value in values) / len(values)
