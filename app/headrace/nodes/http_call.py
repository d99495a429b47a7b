"""apiCall: one HTTP call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic import JsonValue as AnyJson

from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Done, Failed, Outcome
from headrace.nodes.base import Config, HttpError, HttpRequest, HttpResponse, NodeContext, NodeType
from headrace.nodes.filling import fill, fill_text
from headrace.nodes.json_text import read_json, storable_text, stringify

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

EXPECTED = (200, 201, 202, 204)
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
UNSAFE = WITH_BODY | {"DELETE"}
# 4xx answers that another attempt may change: timeout, too early, too many requests.
_LONGEST_RETRY_AFTER = 86_400.0
PASSING_4XX = frozenset({408, 425, 429})
MAX_LOGGED = 10_000
MAX_DETAILS = 16_384

_USER = re.compile(r"(?<=//)[^/@\s]*@")
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
            return _unanswered(context, config, error, self.fails(config, error))
        return _answered(context, config, _Call(request, response))

    def fails(self, config: ApiCallConfig, error: HttpError) -> bool:  # noqa: ARG002
        """Whether the node fails when the call brings no answer; else it completes with success false."""
        return config.fail_on_error


@dataclass(frozen=True, slots=True)
class _Call:
    request: HttpRequest
    response: HttpResponse

    @property
    def line(self) -> str:
        url = _USER.sub("***@", self.request.url)
        return f"{self.request.method} {url} → {self.response.status} {self.response.reason}"


def _unanswered(context: NodeContext, config: ApiCallConfig, error: HttpError, fails: bool) -> Outcome:
    url = _USER.sub("***@", config.url)
    context.say("api-error", f"API Call failed: {error.message}\nURL: {url}\nError Details: {{}}")
    if fails:
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
    wait = retry_after(response.headers.get("retry-after", ""), datetime.now(UTC))
    return Failed(line, kind="HttpError", retryable=not lasting, details=details, retry_after=wait)


def retry_after(header: str, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for, at most a day; None when it says nothing (RFC 9110)."""
    if header.strip().isdigit():
        seconds = float(header)
    else:
        try:
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


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
        url=fill_text(context, config.url),
        headers=headers,
        params=tuple(_filled(context, config.query_params)),
        content=content,
        timeout=config.timeout_ms / 1000,
    )


def _filled(context: NodeContext, pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    return [(pair.key, fill_text(context, pair.value)) for pair in pairs if pair.enabled and pair.key]


def _content(context: NodeContext, config: ApiCallConfig, content_type: str) -> bytes:
    is_json = "json" in content_type.lower()
    if config.body_template:
        render = context.render_json if is_json else context.render
        return render(config.body_template).encode(errors="replace")
    body = fill(context, config.body)
    text = body if isinstance(body, str) and not is_json else stringify(body)
    return text.encode(errors="replace")


def read_data(response: HttpResponse) -> JsonValue:
    """The body as JSON if it says so and is, else as text; never a value that PostgreSQL cannot store."""
    if "json" in response.headers.get("content-type", "").lower():
        try:
            return read_json(response.body.decode("utf-8-sig")) if response.body.strip() else None
        except ValueError:
            pass  # what calls itself JSON and is none, is text
    return storable_text(response.body.decode(_charset(response), errors="replace"))


def _charset(response: HttpResponse) -> str:
    """The codec for a text answer: a known one that it names, else UTF-8."""
    _, found, charset = response.headers.get("content-type", "").lower().partition("charset=")
    return _CHARSETS.get(charset.split(";")[0].strip(" \"'"), "utf-8") if found else "utf-8"


def _shown(response: HttpResponse, data: JsonValue) -> str:
    """The answer for the run's log, cut where it is no longer read."""
    if len(response.body) > 4 * MAX_LOGGED:
        text = storable_text(response.body[: 4 * MAX_LOGGED].decode(_charset(response), errors="replace"))
    else:
        text = json.dumps(data, indent=2, ensure_ascii=False)
    return text if len(text) <= MAX_LOGGED else f"{text[:MAX_LOGGED]}…"
