"""The activities that come with Headrace do exactly what their users know."""

from __future__ import annotations

import re

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.activity import RunActivity
from headrace.nodes.base import HttpError, NodeContext
from headrace.testing import FakeHttp, Reply

from .conftest import context

pytestmark = pytest.mark.anyio


async def ran(here: NodeContext, activity: str, config: JsonObject) -> Done | Failed:
    node = RunActivity()
    outcome = await node.start(
        here, node.config_model.model_validate({"activity": activity, "input": config})
    )
    assert isinstance(outcome, Done | Failed)
    return outcome


async def output(activity: str, **config: JsonValue) -> JsonValue:
    done = await ran(context(None), activity, config)
    assert isinstance(done, Done), done
    return done.output


async def test_sample_activity() -> None:
    assert await output("sampleActivity", message="hi") == "Processed: hi"


async def test_build_package() -> None:
    built = await output("buildPackage", packageName="mill", options={"minify": True})
    assert isinstance(built, dict)
    took = built.pop("buildTime")
    assert built == {
        "success": True,
        "packageName": "mill",
        "artifacts": ["mill-1.0.0.tar.gz", "mill-1.0.0.zip"],
    }
    assert isinstance(took, int)
    assert 1990 <= took < 20_000


TRANSFORMED: list[tuple[str, JsonValue, JsonValue]] = [
    ("uppercase", "Mill", "MILL"),
    ("lowercase", "Mill", "mill"),
    ("reverse", "Mill", "lliM"),
    ("json-parse", '{"a": [1]}', {"a": [1]}),
    ("json-stringify", {"a": [1]}, '{\n  "a": [\n    1\n  ]\n}'),
    ("uppercase", 5, 5),
    ("lowercase", None, None),
    ("reverse", [1, 2], [1, 2]),
    ("json-parse", {"a": 1}, {"a": 1}),
    ("unheard-of", "Mill", "Mill"),
]


@pytest.mark.parametrize(("how", "data", "expected"), TRANSFORMED)
async def test_transform_data(how: str, data: JsonValue, expected: JsonValue) -> None:
    assert await output("transformData", data=data, transformation=how) == expected


async def test_what_is_no_json_is_not_tried_again() -> None:
    config: JsonObject = {"data": "{", "transformation": "json-parse"}
    failed = await ran(context(None), "transformData", config)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.retryable) == ("InvalidJson", False)


async def test_wait_for() -> None:
    assert await output("waitFor", milliseconds=20, reason="tea") == {
        "waited": 20,
        "reason": "tea",
    }
    assert await output("waitFor", milliseconds=0) == {"waited": 0, "reason": None}


async def test_log_message() -> None:
    here = context(None)
    config: JsonObject = {"level": "warn", "message": "low water", "data": {"cm": 3}}
    assert await ran(here, "logMessage", config) == Done(None)
    (line,) = here.log
    assert line.kind == "warning"
    assert re.fullmatch(
        r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] \[WARN\] low water {"cm":3}', line.message
    )


VALIDATED: list[tuple[JsonObject, JsonValue, list[str]]] = [
    ({"required": True}, None, ["Data is required but not provided"]),
    ({"required": True}, "", []),
    ({"type": "number"}, "x", ["Expected type number but got string"]),
    ({"minLength": 3, "maxLength": 5}, "ab", ["Length 2 is less than minimum 3"]),
    ({"maxLength": 2}, [1, 2, 3], ["Length 3 exceeds maximum 2"]),
    ({"pattern": "^[a-z]+$"}, "A1", ["Data does not match pattern: ^[a-z]+$"]),
    ({"type": "array", "minLength": 1}, [1], []),
]


@pytest.mark.parametrize(("rules", "data", "errors"), VALIDATED)
async def test_validate_data(rules: JsonObject, data: JsonValue, errors: list[str]) -> None:
    found = await output("validateData", rules=rules, data=data)
    assert found == {"valid": not errors, "errors": errors}


async def test_http_request_gives_every_answer_and_json_only_if_it_is() -> None:
    http = FakeHttp(
        {
            "POST https://mill.example/wheels": Reply(404, {"turns": 3}),
            "GET https://mill.example/": Reply(200, "not json"),
        }
    )
    config: JsonObject = {"url": "https://mill.example/wheels", "method": "POST", "body": {"n": 1}}
    answer = await ran(context(None, http), "httpRequest", config)
    assert answer == Done(
        {
            "status": 404,
            "statusText": "Not Found",
            "data": {"turns": 3},
            "headers": {"content-type": "application/json"},
        }
    )
    (sent,) = http.requests
    assert (sent.content, sent.timeout) == (b'{"n": 1}', 30)
    assert sent.headers == {"Content-Type": "application/json"}
    text = await ran(context(None, http), "httpRequest", {"url": "https://mill.example/"})
    assert isinstance(text, Done)
    assert isinstance(text.output, dict)
    assert text.output["data"] == "not json"


async def test_http_request_fails_without_an_answer() -> None:
    http = FakeHttp({"GET *": HttpError("the network is down")})
    failed = await ran(context(None, http), "httpRequest", {"url": "https://mill.example/"})
    assert failed == Failed("the network is down", kind="HttpError", retryable=True)


async def test_what_does_not_fit_is_not_tried_again() -> None:
    failed = await ran(context(None), "waitFor", {"milliseconds": "soon"})
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.retryable) == ("InvalidInput", False)
    assert "milliseconds" in failed.message
