"""Request bodies: how large they may be, and what JSON they may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TypeAlias, cast

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.errors import answer_error
from headrace.errors import InvalidInput, Problem
from headrace.graph.json_types import JsonValue

BODY_LIMIT = 1024 * 1024
DEFINITION_LIMIT = 32 * 1024 * 1024
DEEPEST = 150
"""Levels of lists and objects in a body; JSON parsers and PostgreSQL bear more."""

DEFINITION_PATHS = {
    "POST": re.compile(r"/workflows(?:/validate|/import)?/?"),
    "PUT": re.compile(r"/workflows/[^/]+/?"),
}
"""Where definitions are sent, by method."""
_MOST_PROBLEMS = 20

# Where a value stands: the place of what holds it, and its key or index there.
_Place: TypeAlias = "tuple[_Place, str | int] | None"


class BodyLimit:
    """Refuses larger bodies with 413 while they come in, whatever Content-Length says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _limit(scope)
        counted = 0
        started = False

        async def receive_counted() -> Message:
            nonlocal counted
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > limit:
                raise _too_large(limit)
            return message

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if _announced(scope) > limit:
                raise _too_large(limit)
            await self._app(scope, receive_counted, send_noted)
        except HTTPException as error:
            # Raised here, or by a mounted application that read the body.
            if started:
                raise
            await answer_error(error.status_code, str(error.detail))(scope, receive, send)


def _limit(scope: Scope) -> int:
    path = DEFINITION_PATHS.get(scope["method"])
    return DEFINITION_LIMIT if path and path.fullmatch(scope["path"]) else BODY_LIMIT


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


def _too_large(limit: int) -> HTTPException:
    text = f"The body is larger than {limit // (1024 * 1024)} MiB"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)


async def plain_json(request: Request) -> None:
    """A dependency: raises InvalidInput that names the values that JSON or PostgreSQL cannot hold.

    Those are NaN, infinities, NUL characters, lone surrogates and what is nested too deeply. Text that is no
    JSON at all is left to the endpoint's own validation.
    """
    if not await request.body():
        return
    try:
        body = cast(JsonValue, await request.json())
    except (ValueError, RecursionError):
        return
    problems = [problem for problem, _ in zip(_problems(body), range(_MOST_PROBLEMS), strict=False)]
    if problems:
        raise InvalidInput("The body holds values that cannot be stored", problems)


def _problems(body: JsonValue) -> Iterator[Problem]:
    """Walks the body without recursion: it may be nested deeper than Python's stack."""
    stack: list[tuple[JsonValue, _Place, int]] = [(body, None, 0)]
    while stack:
        value, place, depth = stack.pop()
        if isinstance(value, dict | list):
            if depth == DEEPEST:
                yield Problem(_path(place), f"nested more than {DEEPEST} levels deep")
                continue
            items: Iterable[tuple[str | int, JsonValue]] = (
                value.items() if isinstance(value, dict) else enumerate(value)
            )
            for key, inner in reversed(list(items)):
                if isinstance(key, str) and (fault := _text_fault(key)):
                    yield Problem(_path((place, key)), f"the key {fault}")
                stack.append((inner, (place, key), depth + 1))
        elif fault := _fault(value):
            yield Problem(_path(place), f"the value {fault}")


def _fault(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "is not a finite number"
    return None


def _text_fault(text: str) -> str | None:
    if "\x00" in text:
        return "holds a NUL character"
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return None


def _path(place: _Place) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    text = "".join(reversed(parts)).removeprefix(".")
    return text.encode("unicode_escape").decode() if _text_fault(text) else text
