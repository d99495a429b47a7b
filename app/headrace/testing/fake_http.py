"""HTTP calls of nodes, answered from a script; nothing leaves the process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias, cast
from urllib.parse import urlencode

from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonValue
from headrace.nodes.base import HttpError, HttpRequest, HttpResponse


class NotScripted(HeadraceError):
    """No answer to this call is scripted."""

    # No HttpError: a node may take that for an answer, and the test would go on with it.
    code = "NotScripted"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. body: text goes out as it is, everything else as JSON; None for an empty one."""

    status: int = 200
    body: JsonValue = None
    headers: Mapping[str, str] = field(default_factory=dict)


class InTurn:
    """Answers that come one after the other; the last one stays."""

    def __init__(self, *answers: Answer) -> None:
        if not answers:
            raise ValueError("InTurn needs an answer")
        self._answers = list(answers)

    def next(self) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


Answer: TypeAlias = "JsonValue | Reply | InTurn | HttpError | Callable[[HttpRequest], Answer]"
"""A JSON value is the body of a 200. An HttpError is raised: as if the network were broken."""


class FakeHttp:
    """The HTTP of a test: `FakeHttp({"GET https://shop.example/orders/7": {"total": 90}})`.

    A key is a method and a URL, with or without its query; `*` stands for any text. An exact key goes before
    one with a star, and these go in their order. A call without a key fails its node with NotScripted.
    requests: all calls so far.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Raises HttpError when the script says so, and NotScripted."""
        self.requests.append(request)
        answer = self._answer(request)
        while isinstance(answer, InTurn) or callable(answer):
            answer = answer.next() if isinstance(answer, InTurn) else answer(request)
        if isinstance(answer, HttpError):
            raise answer
        return _response(answer if isinstance(answer, Reply) else Reply(body=answer))

    def calls(self, key: str) -> list[HttpRequest]:
        """The calls that a key stands for, as `POST https://mail.example/*`."""
        return [one for one in self.requests if any(_stands_for(key, name) for name in _names(one))]

    def _answer(self, request: HttpRequest) -> Answer:
        names = _names(request)
        for name in names:
            if name in self.answers:
                return self.answers[name]
        for key, answer in self.answers.items():
            if any(_stands_for(key, name) for name in names):
                return answer
        known = ", ".join(self.answers) or "nothing"
        raise NotScripted(f"no answer to {names[0]} is scripted; scripted: {known}")


def _names(request: HttpRequest) -> list[str]:
    """The call as keys name it, the fullest first."""
    bare = f"{request.method} {request.url}"
    if not request.params:
        return list(dict.fromkeys([bare, bare.partition("?")[0]]))
    joint = "&" if "?" in bare else "?"
    return [f"{bare}{joint}{urlencode(request.params)}", bare]


def _stands_for(key: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, key.split("*"))), name, re.DOTALL) is not None


def _response(reply: Reply) -> HttpResponse:
    is_text = isinstance(reply.body, str)
    kind = "text/plain; charset=utf-8" if is_text else "application/json"
    text = "" if reply.body is None else reply.body if is_text else json.dumps(reply.body)
    headers = {"content-type": kind} | {name.lower(): value for name, value in reply.headers.items()}
    return HttpResponse(reply.status, _reason(reply.status), headers, cast(str, text).encode())


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
