from __future__ import annotations

import json

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed
from headrace.nodes.base import HttpResponse
from headrace.nodes.guard import Guard
from headrace.nodes.http import GuardedHttp
from headrace.nodes.http_call import MAX_LOGGED, ApiCallConfig, HttpCall, read_data

from .conftest import Server, context, lines

pytestmark = pytest.mark.anyio
JSON = {"Content_Type": "application/json; charset=utf-8"}


def config(url: str, **settings: JsonValue) -> ApiCallConfig:
    return ApiCallConfig.model_validate({"url": url, **settings})


async def output(http: GuardedHttp, config: ApiCallConfig, given: JsonValue = None) -> JsonObject:
    outcome = await HttpCall().start(context(given, http), config)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.output, dict)
    return outcome.output


async def test_the_output_is_the_answer(server: Server, http: GuardedHttp) -> None:
    server.on("/weather", b'{"temperature": 35}', X_A="1", **JSON)
    one = context({"city": "Dubai"}, http)

    outcome = await HttpCall().start(one, config(server.url("/weather?city={{city}}")))

    url = server.url("/weather?city=Dubai")
    assert outcome == Done(
        {
            "status": 200,
            "statusText": "OK",
            "data": {"temperature": 35},
            "headers": {
                "content-length": "19",
                "x-a": "1",
                "content-type": "application/json; charset=utf-8",
            },
            "success": True,
        }
    )
    assert lines(one) == [("api", f'GET {url} → 200 OK\nResponse: {{\n  "temperature": 35\n}}')]
    assert server.received[0].target == "/weather?city=Dubai"


async def test_an_unexpected_status_completes_without_success(server: Server, http: GuardedHttp) -> None:
    one = context({}, http)

    outcome = await HttpCall().start(one, config(server.url("/x")))

    assert isinstance(outcome, Done)
    assert isinstance(outcome.output, dict)
    assert (outcome.output["status"], outcome.output["success"]) == (404, False)
    assert lines(one) == [
        ("api-error", f'GET {server.url("/x")} → 404 Not Found (unexpected status)\nResponse: ""')
    ]


async def test_which_status_is_expected_can_be_said(server: Server, http: GuardedHttp) -> None:
    assert (await output(http, config(server.url("/x"), expectedStatusCodes=[404])))["success"] is True
    assert (await output(http, config(server.url("/x"), expectedStatusCodes=[])))["success"] is False


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
    ],
)
async def test_it_fails_if_it_shall(server: Server, http: GuardedHttp, status: int, retryable: bool) -> None:
    server.on("/x", b'{"why": "so"}', status=f"{status} Oh", **JSON)

    outcome = await HttpCall().start(context({}, http), config(server.url("/x"), failOnError=True))

    assert outcome == Failed(
        f"GET {server.url('/x')} → {status} Oh (unexpected status)",
        kind="HttpError",
        retryable=retryable,
        details={"status": status, "statusText": "Oh", "data": {"why": "so"}},
    )


async def test_no_answer_completes_as_an_error(server: Server, http: GuardedHttp) -> None:
    one = context({}, http)

    outcome = await HttpCall().start(one, config(server.url("/hang"), timeoutMs=50))

    assert outcome == Done(
        {
            "status": 0,
            "statusText": "Error",
            "data": None,
            "headers": {},
            "success": False,
            "error": "Request timeout",
        }
    )
    text = f"API Call failed: Request timeout\nURL: {server.url('/hang')}\nError Details: {{}}"
    assert lines(one) == [("api-error", text)]


@pytest.mark.parametrize(
    ("url", "kind", "retryable"),
    [
        ("SERVER/hang", "HttpTimeout", True),
        ("SERVER/drop", "HttpError", True),
        ("http://169.254.169.254/", "RefusedAddress", False),
        ("ftp://example.com/", "InvalidRequest", False),
        ("{{nothing}}", "InvalidRequest", False),
    ],
)
async def test_no_answer_fails_if_it_shall(
    server: Server, http: GuardedHttp, url: str, kind: str, retryable: bool
) -> None:
    settings = config(url.replace("SERVER", server.url("")), failOnError=True, timeoutMs=50)

    outcome = await HttpCall().start(context({}, http), settings)

    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == (kind, retryable)


async def test_a_refused_address_says_how_to_allow_it(http: GuardedHttp) -> None:
    answer = await output(http, config("http://10.0.0.1:8080/"))

    assert answer["success"] is False
    assert answer["error"] == (
        "'10.0.0.1' is not a public address; to allow it, add '10.0.0.1:8080' to HEADRACE_HTTP_ALLOW"
    )


async def test_localhost_3000_is_the_own_api(server: Server) -> None:
    http = GuardedHttp(Guard("", ("127.0.0.1", server.port)))
    server.on("/workflows/api/test-weather", b"{}", **JSON)

    answer = await output(http, config("http://localhost:3000/workflows/api/test-weather?city=x"))
    await http.aclose()

    assert answer["success"] is True


@pytest.mark.parametrize(
    "headers",
    [
        [
            {"id": "1", "key": "X-On", "value": "{{who}}", "enabled": True},
            {"key": "X-Unsaid", "value": "1"},
            {"key": "X-Off", "value": "1", "enabled": False},
            {"key": "", "value": "1"},
            {"key": "X-Empty", "value": ""},
        ],
        {"X-On": "{{who}}", "X-Unsaid": 1},
        '[{"key": "X-On", "value": "{{who}}"}, {"key": "X-Unsaid", "value": "1"}]',
    ],
)
async def test_headers(server: Server, http: GuardedHttp, headers: JsonValue) -> None:
    await output(http, config(server.url(), headers=headers), {"who": "me"})

    sent = server.received[0].headers
    assert (sent["x-on"], sent["x-unsaid"]) == ("me", "1")
    assert not {"x-off", "x-empty", ""} & sent.keys()


@pytest.mark.parametrize(
    "params",
    [
        [
            {"key": "zone", "value": "{{zone}}"},
            {"key": "n", "value": "2"},
            {"key": "x", "value": "1", "enabled": False},
        ],
        {"zone": "{{zone}}", "n": 2},
        {"zone": "${zone}", "n": "2"},
    ],
)
async def test_query_params_are_escaped(server: Server, http: GuardedHttp, params: JsonValue) -> None:
    await output(http, config(server.url("/?floor=3"), queryParams=params), {"zone": "a&b=c"})

    assert server.received[0].target == "/?floor=3&zone=a%26b%3Dc&n=2"


async def test_values_in_a_json_body_break_nothing(server: Server, http: GuardedHttp) -> None:
    template = '{"name": "{{name}}", "age": {{age}}}'
    given: JsonObject = {"name": 'Ann "A" \\ O\'Hara\n", "admin": true', "age": 5}

    await output(http, config(server.url(), method="POST", bodyTemplate=template), given)

    assert json.loads(server.received[0].body) == given
    assert server.received[0].headers["content-type"] == "application/json"


async def test_a_text_body_is_not_escaped(server: Server, http: GuardedHttp) -> None:
    headers = {"content-type": "text/plain"}

    await output(
        http, config(server.url(), method="PUT", headers=headers, bodyTemplate='say "{{x}}"'), {"x": '"ü"'}
    )

    assert server.received[0].body.decode() == 'say ""ü""'
    assert server.received[0].headers["content-type"] == "text/plain"


async def test_a_body_of_json_is_filled_in_by_both_kinds_of_placeholder(
    server: Server, http: GuardedHttp
) -> None:
    body: JsonObject = {
        "typed": "${n}",
        "text": "{{n}}",
        "both": "{{who}} has ${n} and $${this}",
        "list": ["${list}", 1, None],
        "deep": {"a": "${gone?}"},
    }
    given: JsonObject = {"n": 5, "who": "${secret}", "secret": "s", "list": [1, {"a": 2}]}

    await output(http, config(server.url(), method="patch", body=body), given)

    assert json.loads(server.received[0].body) == {
        "typed": 5,
        "text": "5",
        "both": "${secret} has 5 and ${this}",
        "list": [[1, {"a": 2}], 1, None],
        "deep": {"a": None},
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_other_methods_have_no_body(server: Server, http: GuardedHttp, method: str) -> None:
    await output(http, config(server.url(), method=method, bodyTemplate="x"))

    assert server.received[0].body == b""


async def test_a_missing_reference_fails_the_node_for_good(server: Server, http: GuardedHttp) -> None:
    outcome = await HttpCall().start(context({}, http), config(server.url("/${gone}")))

    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.retryable) == ("MissingReference", False)
    assert server.received == []


@pytest.mark.parametrize(
    ("method", "headers", "key"),
    [
        ("POST", {}, "task-1"),
        ("DELETE", {}, "task-1"),
        ("POST", {"idempotency-key": "mine"}, "mine"),
        ("GET", {}, None),
    ],
)
async def test_unsafe_calls_carry_the_tasks_key(
    server: Server, http: GuardedHttp, method: str, headers: JsonObject, key: str | None
) -> None:
    await output(http, config(server.url(), method=method, headers=headers))

    assert server.received[0].headers.get("idempotency-key") == key


async def test_credentials_of_the_url_are_not_logged(server: Server, http: GuardedHttp) -> None:
    one = context({}, http)

    await HttpCall().start(one, config(server.url("/x").replace("//", "//ann:secret@")))
    await HttpCall().start(one, config(server.url("/drop").replace("//", "//ann:secret@")))

    assert len(one.log) == 2
    assert "secret" not in str(one.log)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_a_long_answer_is_cut_in_the_log_only(
    server: Server, http: GuardedHttp, content_type: str
) -> None:
    server.on("/x", json.dumps(["x" * 1_000_000]).encode(), Content_Type=content_type)
    one = context({}, http)

    outcome = await HttpCall().start(one, config(server.url("/x")))

    assert isinstance(outcome, Done)
    assert len(json.dumps(outcome.output)) > 1_000_000
    assert len(one.log[0].message) < MAX_LOGGED + 200


async def test_an_answer_over_the_limit_is_an_error(server: Server, http: GuardedHttp) -> None:
    server.on("/x", b"x" * (8 * 1024 * 1024 + 1))

    answer = await output(http, config(server.url("/x")))

    assert (answer["status"], answer["error"]) == (0, "The response is larger than 8 MiB")


DEEP = b"[" * 500 + b"]" * 500


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("application/problem+json", b"[]", []),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b"", None),
        ("application/json", b"not json", "not json"),
        ("application/json", b'{"a": NaN}', '{"a": NaN}'),
        ("application/json", b"[1e999]", "[1e999]"),
        ("application/json", b"[" + b"9" * 5000 + b"]", "[" + "9" * 5000 + "]"),
        ("application/json", b'["\\ud83d\\ude00 \\ud800 \\u0000!"]', ["😀 \ufffd !"]),
        ("application/json", b'{"\\u0000a": 1}', {"a": 1}),
        ("application/json", b'["\xff"]', '["\ufffd"]'),
        ("application/json", b'["\xed\xa0\x80"]', '["\ufffd\ufffd\ufffd"]'),
        ("application/json", DEEP, DEEP.decode()),
        ("application/json", b"[" * 100_000, "[" * 100_000),
        ("text/plain", b"caf\xc3\xa9 \x00\xff", "café \ufffd"),
        ("text/plain; charset=ISO-8859-1", b"caf\xe9", "café"),
        ('text/plain; charset="windows-1252"', b"\x80", "€"),
        ("text/plain; charset=utf-16", "é".encode("utf-16"), "é"),
        ("text/plain; charset=rot13", b"abc", "abc"),
        ("", b"{}", "{}"),
    ],
)
def test_any_body_becomes_a_value_that_can_be_stored(content_type: str, body: bytes, data: JsonValue) -> None:
    assert read_data(HttpResponse(200, "OK", {"content-type": content_type}, body)) == data
