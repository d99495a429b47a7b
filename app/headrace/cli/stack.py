"""`headrace up`: the whole stack on this machine."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Annotated

import typer

from headrace import config, log
from headrace.cli.api_functions import loader, require_safe
from headrace.cli.database import on_data_dir
from headrace.cli.options import DataDir
from headrace.cli.output import say
from headrace.cli.server import with_options
from headrace.config import Settings
from headrace.local.up import StackWish, running_stack
from headrace.log import Log

_log = Log("headrace.cli")

_BANNER = """
  Headrace is up, with {workers}.

    API         {url}
    API docs    {url}/docs
    Dashboard   {url}/rq/

  Try    headrace run "📧 Simple Notification" --watch
  Scale  headrace scale 5
  Stop   Ctrl-C
"""

Workers = Annotated[int, typer.Option(min=0, max=1000, help="Worker processes.")]


def up(
    workers: Workers = 2,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The API's port; else PORT, 3000. 0: any free one.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The API's address; else HOST, 127.0.0.1.", show_default=False)
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Start everything here and keep it running until Ctrl-C: servers, API and workers.

    PostgreSQL and Redis are started too, where DATABASE_URL and REDIS_URL name none.
    """
    settings = on_data_dir(with_options(host, port), data_dir)
    log.configure(settings.log_level, settings.log_json)
    _name_unknown_settings()
    require_safe(settings)
    interrupt_once()
    try:
        _keep_up(settings, workers)
    except KeyboardInterrupt:
        say("Headrace has stopped; the data stays")


def _keep_up(settings: Settings, workers: int) -> None:
    with running_stack(StackWish(settings, workers, loader(settings))) as stack:
        count = f"{workers} worker{'' if workers == 1 else 's'}"
        say(_BANNER.format(url=stack.url, workers=count))
        while True:
            stack.tend()


def _name_unknown_settings() -> None:
    for name in config.unknown_names():
        _log.warning("unknown_setting", f"{name} is no setting of Headrace")


def interrupt_once() -> None:
    """Lets the first SIGINT, SIGTERM or SIGHUP raise KeyboardInterrupt; later ones do not disturb the end."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
