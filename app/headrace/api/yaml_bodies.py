"""Definitions may be sent as YAML: they become JSON before an endpoint sees them."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.body import DEFINITION_PATHS
from headrace.api.errors import answer_error
from headrace.errors import InvalidInput
from headrace.graph.yaml_text import read_yaml

MEDIA_TYPES = ("application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml", "text/vnd.yaml")


class YamlBodies:
    """Reads YAML where a definition is expected; other bodies, as those of webhooks, stay as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_yaml_definition(scope):
            await self._app(scope, receive, send)
            return
        text = await Request(scope, receive).body()
        try:
            body = await asyncio.to_thread(_as_json, text)
        except InvalidInput as error:
            answer = answer_error(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, error.problems)
            await answer(scope, receive, send)
            return
        await self._app(_with_json_headers(scope, len(body)), _once(body, receive), send)


def _is_yaml_definition(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path = DEFINITION_PATHS.get(scope["method"])
    kind = (
        dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    )
    return path is not None and path.fullmatch(scope["path"]) is not None and kind in MEDIA_TYPES


def _as_json(text: bytes) -> bytes:
    return json.dumps(read_yaml(text)).encode()


def _with_json_headers(scope: Scope, length: int) -> Scope:
    replaced = (b"content-type", b"content-length")
    kept = [(name, value) for name, value in scope["headers"] if name not in replaced]
    sent = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
    return {**scope, "headers": kept + sent}


def _once(body: bytes, receive: Receive) -> Receive:
    """Gives the body, and then what comes from the client: that it has gone."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_body() -> Message:
        return messages.pop() if messages else await receive()

    return receive_body
