"""apiCall: one HTTP call."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Never, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.graph.template import resolve
from headrace.nodes.base import Config, HttpError, HttpRequest, HttpResponse, NodeContext, NodeType
from headrace.nodes.input_text import stringify, too_deep

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

EXPECTED = (200, 201, 202, 204)
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
UNSAFE = WITH_BODY | {"DELETE"}
# 4xx answers that another attempt may change: timeout, too early, too many requests.
PASSING_4XX = frozenset({408, 425, 429})
MAX_LOGGED = 10_000
MAX_DETAILS = 16_384

_BRACES = re.compile(r"(\{\{[^{}]*\}\})")
_USER = re.compile(r"(?<=//)[^/@\s]*@")
_UNSTORABLE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_CHARSETS = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}


def _as_text(value: object) -> object:
    return stringify(value) if isinstance(value, bool | int | float) else value


def _as_pairs(value: object) -> object:
    """Accepts {key: value}, and a list as JSON text, which old definitions hold."""
    if isinstance(value, str):
        value = json.loads(value or "[]")
    if isinstance(value, Mapping):
        return [{"key": key, "value": one} for key, one in value.items()]
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Pair(Config):
    """A name and a value, which may hold `{{ path }}`."""

    id: str = Field(default="", description="Names the row in the editor.")
    key: str = Field(default="", description="The name; a row without one is ignored.")
    value: Annotated[str, BeforeValidator(_as_text)] = Field(default="", description="The value.")
    enabled: bool = Field(default=True, description="Whether it is sent.")
    description: str = Field(default="", description="A remark for people.")


Pairs: TypeAlias = Annotated[tuple[Pair, ...], BeforeValidator(_as_pairs)]


class ApiCallConfig(Config):
    """What to call, and which answers count as success."""

    method: Annotated[Method, BeforeValidator(_upper)] = Field(default="GET", description="The HTTP method.")
    url: str = Field(
        default="https://api.example.com/endpoint",
        description="The address; `{{ path }}` is filled in. `localhost:3000` is this system's own API.",
    )
    headers: Pairs = Field(default=(), description="Headers to send.")
    query_params: Pairs = Field(default=(), description="Parameters added to the address, escaped.")
    body_template: str = Field(
        default="",
        description="The body of POST, PUT and PATCH; `{{ path }}` is filled in, escaped if it is JSON.",
        json_schema_extra={"format": "textarea"},
    )
    body: AnyJson = Field(
        default=None,
        description="The body as JSON, without bodyTemplate; strings may hold `{{ path }}` or `${ path }`.",
    )
    timeout_ms: int = Field(
        default=10_000, gt=0, le=3_600_000, description="Milliseconds for the whole call."
    )
    expected_status_codes: tuple[int, ...] = Field(
        default=EXPECTED, description="The status codes that count as success."
    )
    fail_on_error: bool = Field(
        default=False,
        description="Whether the node fails when the call does; else it completes with success false.",
    )


class HttpCall(NodeType[ApiCallConfig]):
    """Makes the call; its output is the answer: {status, statusText, data, headers, success, error?}."""

    type = "apiCall"
    aliases = ("httpCall",)
    group = "Actions"
    description = "Calls an HTTP API."
    config_model = ApiCallConfig

    async def start(self, context: NodeContext, config: ApiCallConfig) -> Outcome:
        try:
            request = _request(context, config)
        except HeadraceError as error:
            return Failed(error.message, kind=error.code, retryable=False)
        try:
            response = await context.http.send(request)
        except HttpError as error:
            return _unanswered(context, config, error)
        return _answered(context, config, _Call(request, response))


@dataclass(frozen=True, slots=True)
class _Call:
    request: HttpRequest
    response: HttpResponse

    @property
    def line(self) -> str:
        url = _USER.sub("***@", self.request.url)
        return f"{self.request.method} {url} → {self.response.status} {self.response.reason}"


def _unanswered(context: NodeContext, config: ApiCallConfig, error: HttpError) -> Outcome:
    url = _USER.sub("***@", config.url)
    context.say("api-error", f"API Call failed: {error.message}\nURL: {url}\nError Details: {{}}")
    if config.fail_on_error:
        return Failed(error.message, kind=error.code, retryable=error.retryable)
    return Done(
        {
            "status": 0,
            "statusText": "Error",
            "data": None,
            "headers": {},
            "success": False,
            "error": error.message,
        }
    )


def _answered(context: NodeContext, config: ApiCallConfig, call: _Call) -> Outcome:
    response = call.response
    data = read_data(response)
    success = response.status in (config.expected_status_codes or EXPECTED)
    line = call.line if success else f"{call.line} (unexpected status)"
    context.say("api" if success else "api-error", f"{line}\nResponse: {_shown(response, data)}")
    if config.fail_on_error and not success:
        return _failed(response, line, data)
    return Done(
        {
            "status": response.status,
            "statusText": response.reason,
            "data": data,
            "headers": dict(response.headers),
            "success": success,
        }
    )


def _failed(response: HttpResponse, line: str, data: JsonValue) -> Failed:
    details: JsonObject = {"status": response.status, "statusText": response.reason}
    if len(response.body) <= MAX_DETAILS:
        details["data"] = data
    lasting = 400 <= response.status < 500 and response.status not in PASSING_4XX
    return Failed(line, kind="HttpError", retryable=not lasting, details=details)


def _request(context: NodeContext, config: ApiCallConfig) -> HttpRequest:
    """The config with its templates filled in. Raises MissingReference or BadExpression."""
    headers = {key: value for key, value in _filled(context, config.headers) if value}
    names = {name.lower(): name for name in headers}
    content = None
    if config.method in WITH_BODY and (config.body_template or config.body is not None):
        name = names.get("content-type") or "Content-Type"
        content = _content(context, config, headers.setdefault(name, "application/json"))
    if config.method in UNSAFE and "idempotency-key" not in names:
        headers["Idempotency-Key"] = context.idempotency_key
    return HttpRequest(
        method=config.method,
        url=_text(context, config.url),
        headers=headers,
        params=tuple(_filled(context, config.query_params)),
        content=content,
        timeout=config.timeout_ms / 1000,
    )


def _filled(context: NodeContext, pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    return [(pair.key, _text(context, pair.value)) for pair in pairs if pair.enabled and pair.key]


def _content(context: NodeContext, config: ApiCallConfig, content_type: str) -> bytes:
    is_json = "json" in content_type.lower()
    if config.body_template:
        fill = context.render_json if is_json else context.render
        return fill(config.body_template).encode(errors="replace")
    body = _value(context, config.body)
    text = body if isinstance(body, str) and not is_json else stringify(body)
    return text.encode(errors="replace")


def _value(context: NodeContext, value: JsonValue) -> JsonValue:
    """The value with `{{ path }}` and `${ path }` filled in, in every string of it."""
    match value:
        case str() if "{{" in value:
            return _text(context, value)
        case list():
            return [_value(context, one) for one in value]
        case dict():
            return {key: _value(context, one) for key, one in value.items()}
        case _:
            return resolve(value, context.scope)


def _text(context: NodeContext, text: str) -> str:
    """The text with both kinds of placeholder filled in, in one pass: values are never read as templates."""
    pieces = _BRACES.split(text)
    return "".join(
        context.render(piece) if index % 2 else _dollars(context, piece) for index, piece in enumerate(pieces)
    )


def _dollars(context: NodeContext, text: str) -> str:
    # The blank makes it a longer string, in which `${ path }` becomes text.
    return str(resolve(f" {text}", context.scope))[1:] if "${" in text else text


def read_data(response: HttpResponse) -> JsonValue:
    """The body as JSON if it says so and is, else as text; never a value that PostgreSQL cannot store."""
    if "json" in response.headers.get("content-type", "").lower():
        try:
            return _json(response.body) if response.body.strip() else None
        except (ValueError, RecursionError):
            pass  # what calls itself JSON and is none, is text
    return _storable_text(response.body.decode(_charset(response), errors="replace"))


def _json(body: bytes) -> JsonValue:
    text = body.decode("utf-8-sig")
    data: JsonValue = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    if too_deep(data):
        raise ValueError("nested too deep")
    return _storable(data) if _ESCAPED.search(body) else data


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _storable(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return _storable_text(value)
        case list():
            return [_storable(one) for one in value]
        case dict():
            return {_storable_text(key): _storable(one) for key, one in value.items()}
        case _:
            return value


def _storable_text(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text.replace("\x00", ""))


def _charset(response: HttpResponse) -> str:
    """The codec for a text answer: a known one that it names, else UTF-8."""
    _, found, charset = response.headers.get("content-type", "").lower().partition("charset=")
    return _CHARSETS.get(charset.split(";")[0].strip(" \"'"), "utf-8") if found else "utf-8"


def _shown(response: HttpResponse, data: JsonValue) -> str:
    """The answer for the run's log, cut where it is no longer read."""
    if len(response.body) > 4 * MAX_LOGGED:
        text = _storable_text(response.body[: 4 * MAX_LOGGED].decode(_charset(response), errors="replace"))
    else:
        text = json.dumps(data, indent=2, ensure_ascii=False)
    return text if len(text) <= MAX_LOGGED else f"{text[:MAX_LOGGED]}…"
