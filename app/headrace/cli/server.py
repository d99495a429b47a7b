"""`headrace api`, `migrate` and `version`."""

from __future__ import annotations

import os
from typing import Annotated

import anyio
import typer
import uvicorn
from starlette.types import ASGIApp

from headrace import __version__, config, log
from headrace.cli.api_functions import create_app, loader
from headrace.cli.database import open_database, server_urls
from headrace.cli.options import AsJson
from headrace.cli.output import print_json, say
from headrace.config import Settings
from headrace.engine.program import Engine
from headrace.local.address import choose_address
from headrace.nodes.builtin import builtin
from headrace.store.schema import migrate as migrate_schema

_CLOSE_SECONDS = 3
"""How long requests that still run, such as event streams, hold up the end."""


def api(
    host: Annotated[str, typer.Option(help="The address to listen on; else HOST.", show_default=False)] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; else PORT. 0: any free one.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when the code changes.")] = False,
) -> None:
    """Serve the HTTP API. It migrates nothing: `headrace migrate` does."""
    settings = with_options(host, port)
    address = choose_address(settings)
    urls = server_urls(settings)
    # Through the environment, for it is `application` that reads it, in another process with --reload.
    os.environ |= {"HOST": address.host, "PORT": str(address.port)}
    os.environ |= {"DATABASE_URL": urls.database, "REDIS_URL": urls.redis}
    uvicorn.run(
        "headrace.cli.server:application",
        factory=True,
        host=address.host,
        port=address.port,
        reload=reload,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )


def application() -> ASGIApp:
    """The API as the environment describes it. Raises InvalidSettings."""
    settings = config.load()
    log.configure(settings.log_level, settings.log_json)
    return create_app(settings)


def migrate() -> None:
    """Bring the database up to date, and load samples and templates into a new one."""
    anyio.run(_migrate, config.load())
    say("The database is up to date")


async def _migrate(settings: Settings) -> None:
    async with open_database(settings) as db:
        await migrate_schema(db)
        await loader(settings)(Engine.over(db, builtin()))


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        say(f"headrace {__version__}")


def with_options(host: str, port: int | None) -> Settings:
    """The settings, with what the command line says of the address."""
    said: dict[str, str | int] = {"host": host} if host else {}
    if port is not None:
        said["port"] = port
    return config.load().model_copy(update=said)
