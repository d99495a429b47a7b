"""Who may do what: API keys with roles, and web pages of other origins kept off."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import IntEnum
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.api.errors import answer_error
from headrace.config import Settings
from headrace.errors import InvalidSettings

_SAFE = ("GET", "HEAD", "OPTIONS")
_PUBLIC = ("/health", "/healthz", "/readyz")
_DASHBOARD = "/rq"
_RUNS = re.compile(
    r"(/workflows/[^/]+/(execute|execute-async|trigger)|/runs/bulk"
    r"|(/workflows)?(/[^/]+)?/runs/[^/]+/(cancel|pause|resume|retry|rerun|step|debug))/?"
)
_PEOPLE = re.compile(r"(/workflows)?(/[^/]+)?/runs/[^/]+/signals/.+|/(approvals|questions)/[^/]+(/links)?/?")
_SECRETS = re.compile(r"/projects/[^/]+/secrets(/.*)?")
_LINKS = "/a/"
_TRIGGERS = re.compile(r"/schedules/[^/]+/(pause|resume|trigger|backfill)/?|/events/?")
_MOCKS = "/workflows/api/"


class Role(IntEnum):
    """Each may do what those before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


def read_keys(text: str) -> dict[bytes, Role]:
    """Roles by the SHA-256 digests of their keys, from `role:key,role:key`. Raises InvalidSettings."""
    keys: dict[bytes, Role] = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        role, _, key = pair.partition(":")
        if role.upper() not in Role.__members__ or not key:
            known = ", ".join(one.name.lower() for one in Role)
            raise InvalidSettings(f"HEADRACE_API_KEYS: each entry is role:key, and a role is one of {known}")
        keys[_digest(key)] = Role[role.upper()]
    return keys


def require_safe(settings: Settings) -> None:
    """Raises InvalidSettings when anybody on the network could use the API without a key."""
    if settings.api_keys or settings.open or is_loopback(settings.host):
        return
    raise InvalidSettings(
        f"HOST {settings.host} is not this machine alone: set HEADRACE_API_KEYS, or HEADRACE_OPEN=1 to let"
        " everybody in"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host of this name."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def needed_role(method: str, path: str) -> Role:
    """The least role that a request needs. Mock endpoints change nothing, so any key may call them.

    Who gets the links of an approval can decide it.
    """
    if _PEOPLE.fullmatch(path):
        return Role.OPERATOR
    if _SECRETS.fullmatch(path):
        return Role.ADMIN
    if method in _SAFE and not path.startswith(_DASHBOARD + "/requeue/"):
        return Role.VIEWER
    starts_runs = _RUNS.fullmatch(path) or _TRIGGERS.fullmatch(path)
    return Role.OPERATOR if starts_runs else Role.ADMIN


class Authentication:
    """Asks for a key: `Authorization: Bearer`, `X-API-Key`, or as a browser's password for the dashboard."""

    def __init__(self, app: ASGIApp, keys: Mapping[bytes, Role]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._keys or _is_public(scope["path"]) or _is_delivery(scope):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        is_dashboard = path == _DASHBOARD or path.startswith(_DASHBOARD + "/")
        role = self._role(_key(Headers(scope=scope), is_dashboard))
        if role is None:
            challenge = {"WWW-Authenticate": f'{"Basic" if is_dashboard else "Bearer"} realm="headrace"'}
            refusal = answer_error(HTTPStatus.UNAUTHORIZED, "A valid API key is needed", headers=challenge)
            await refusal(scope, receive, send)
        elif role < (least := needed_role(scope["method"], path)):
            text = f"This needs a key with the role {least.name.lower()}"
            await answer_error(HTTPStatus.FORBIDDEN, text)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _role(self, key: str | None) -> Role | None:
        if key is None:
            return None
        digest = _digest(key)
        # All are compared, so that the time says nothing about which came near.
        found = [role for known, role in self._keys.items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def _is_public(path: str) -> bool:
    """Who asks for health has no key, nor have the nodes of the samples, which call the mock endpoints.

    A link to an approval is a key itself.
    """
    return path in _PUBLIC or path.startswith((_MOCKS, _LINKS))


class SameOrigin:
    """Refuses what a web page of another origin sends with a browser that can reach this API."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE or self._is_ours(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        text = "This origin is not allowed; see CORS_ORIGIN"
        await answer_error(HTTPStatus.FORBIDDEN, text)(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or "*" in self._allowed or origin in self._allowed:
            return True
        page, host = _location(origin), _location("//" + headers.get("host", ""))
        # A developer's page on another port of this machine is no stranger.
        return page == host or (is_loopback(page[0]) and is_loopback(host[0]))


_SUBSCRIPTIONS = re.compile(r"/webhooks/subscriptions(/|$)")


def _is_delivery(scope: Scope) -> bool:
    """Who delivers to a webhook has its secret instead of a key."""
    path = scope["path"]
    return bool(
        scope.get("method") == "POST" and path.startswith("/webhooks/") and not _SUBSCRIPTIONS.match(path)
    )


def allowed_origins(settings: Settings) -> frozenset[str]:
    """The origins of CORS_ORIGIN; `*` among them allows all."""
    return frozenset(filter(None, (one.strip().rstrip("/") for one in settings.cors_origin.split(","))))


def _location(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def _key(headers: Headers, is_dashboard: bool) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic" and is_dashboard:
        return _password(credentials)
    return headers.get("x-api-key")


def _password(credentials: str) -> str | None:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return None
