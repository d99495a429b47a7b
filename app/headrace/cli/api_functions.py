"""What the command line calls of the API: by name, as an ASGI server does.

Both are doors on one floor of the house, and neither imports the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from starlette.types import ASGIApp
from uvicorn.importer import import_from_string

from headrace.config import Settings
from headrace.engine.program import Engine


def create_app(settings: Settings) -> ASGIApp:
    """`headrace.api.main.create_app`."""
    make = cast(Callable[[Settings], ASGIApp], import_from_string("headrace.api.main:create_app"))
    return make(settings)


def require_safe(settings: Settings) -> None:
    """`headrace.api.auth.require_safe`: raises InvalidSettings when strangers could use the API."""
    check = cast(Callable[[Settings], None], import_from_string("headrace.api.auth:require_safe"))
    check(settings)


def loader(settings: Settings) -> Callable[[Engine], Awaitable[None]]:
    """`headrace.api.startup.load_samples_and_templates`, with samples if the settings say so."""
    load = import_from_string("headrace.api.startup:load_samples_and_templates")
    return partial(cast(Callable[..., Awaitable[None]], load), with_samples=settings.samples)
