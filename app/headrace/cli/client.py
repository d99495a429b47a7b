"""HTTP to a Headrace API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeAlias

import httpx

from headrace import config
from headrace.cli.errors import Refused, Unavailable, Unreachable
from headrace.config import Settings
from headrace.errors import NotFound, Problem
from headrace.graph.json_types import JsonValue
from headrace.local.stack import read_running

Query: TypeAlias = Mapping[str, str | int | float]

_SECONDS = 65.0
"""Longer than the 60 s after which the API itself answers a slow request."""

_PASSING = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT)


def open_client(url: str = "") -> Client:
    """A client of the API at `url`, else of the one that the settings and the data folder name."""
    settings = config.load()
    return Client(url or default_url(settings), settings.api_key)


def default_url(settings: Settings) -> str:
    """HEADRACE_URL, else the API of the stack that runs on the data folder, else port 3000 here."""
    if "url" in settings.model_fields_set:
        return settings.url
    running = read_running(settings.data_dir)
    return (running and running.api_url) or settings.url


class Client:
    """Calls the API.

    Raises Unreachable when nobody answers, Unavailable when it cannot do it now, NotFound or Refused when it
    says no.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> JsonValue:
        return self._call("GET", path, query=query)

    def post(self, path: str, body: JsonValue = None, query: Query | None = None, key: str = "") -> JsonValue:
        """key: an Idempotency-Key."""
        return self._call("POST", path, body, query, {"Idempotency-Key": key} if key else None)

    def put(self, path: str, body: JsonValue) -> JsonValue:
        return self._call("PUT", path, body)

    def delete(self, path: str) -> JsonValue:
        return self._call("DELETE", path)

    @contextmanager
    def stream(self, path: str, after: str, silence: float) -> Iterator[Iterator[str]]:
        """The lines of an event stream after the event with the id `after` ('': from the beginning).

        silence: seconds without a line after which httpx.ReadTimeout is raised.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        timeout = httpx.Timeout(_SECONDS, read=silence)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise_refusal(answer)
            yield answer.iter_lines()

    def _call(
        self,
        method: str,
        path: str,
        body: JsonValue = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JsonValue:
        try:
            answer = self._http.request(method, path, json=body, params=query, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self.unreachable() from error
        if not answer.is_success:
            raise_refusal(answer)
        return _json(answer)

    def unreachable(self) -> Unreachable:
        """The error that says what to do."""
        return Unreachable(
            f"No Headrace API answers at {self.url}. "
            "Start one with `make up` or `headrace up`, or set HEADRACE_URL."
        )


def raise_refusal(answer: httpx.Response) -> None:
    """Raises NotFound, Unavailable or Refused with what the API says."""
    body = _json(answer)
    message, problems = f"{answer.status_code} {answer.reason_phrase}", list[Problem]()
    if isinstance(body, dict):
        message = _text(body.get("message") or body.get("error")) or message
        details = body.get("details")
        problems = [_problem(one) for one in details] if isinstance(details, list) else []
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(message)
    if answer.status_code in _PASSING:
        raise Unavailable(message)
    raise Refused(message, problems)


def _json(answer: httpx.Response) -> JsonValue:
    try:
        value: JsonValue = answer.json()
    except ValueError:
        return answer.text
    return value


def _text(message: JsonValue) -> str:
    """A message may be a list, as in SequenceFlow's answers."""
    return "; ".join(map(str, message)) if isinstance(message, list) else str(message or "")


def _problem(detail: JsonValue) -> Problem:
    if not isinstance(detail, dict):
        return Problem("", str(detail))
    return Problem(*(str(detail.get(key, "")) for key in ("path", "message", "hint")))
