"""`headrace worker start`: one process, those of some activities, or all that are wanted."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from headrace import config, log
from headrace.cli.database import server_urls
from headrace.cli.errors import WrongUse
from headrace.cli.offers import offers, with_tasks
from headrace.cli.output import say
from headrace.cli.stack import interrupt_once
from headrace.config import Settings
from headrace.errors import HeadraceError
from headrace.local.crew import Crew
from headrace.local.follow import WORKER, following, terms_of
from headrace.local.squad import Squad
from headrace.local.supervisor import WORKER_ID, WorkerDeath
from headrace.log import Log

_ALL = "all"
_LOOK_SECONDS = 0.1

_log = Log("headrace.cli")

Tasks = Annotated[
    list[Path] | None, typer.Option(help="A folder with your activities; may be given several times.")
]


def start(
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="One process with all activities; started again if it dies.")
    ] = False,
    worker: Annotated[
        list[str] | None,
        typer.Option("--worker", "-w", metavar="NAME", help="A process with this activity only; several."),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Run as many as projects want, and start again what dies."),
    ] = False,
    tasks: Tasks = None,
) -> None:
    """Run workers here until SIGTERM or Ctrl-C: one process; without any option, this one.

    Let one process follow for each database, beside no `headrace up`: each starts all that are wanted.
    """
    names = list(dict.fromkeys(worker or ()))
    if sum((all_, bool(names), follow)) > 1:
        raise WrongUse("--all, --worker and --follow exclude each other")
    os.environ.update(with_tasks(tasks or ()))  # workers read their settings from the environment
    if follow:
        _follow(config.load())
    elif names or all_:
        _keep(names)
    else:
        # The worker takes this process over: its pid, signals and exit code are the command's own.
        os.environ.setdefault(WORKER_ID, uuid.uuid4().hex)
        os.execv(sys.executable, list(WORKER))


def _follow(settings: Settings) -> None:
    log.configure(settings.log_level, settings.log_json)
    interrupt_once()
    try:
        with following(settings):
            Event().wait()
    except KeyboardInterrupt:
        say("The workers have stopped")


def _keep(names: list[str]) -> None:
    """Runs a process for each name, or one for all activities, until all have left or it is interrupted."""
    settings = config.load()
    log.configure(settings.log_level, settings.log_json)
    found = offers()
    found.complain()
    found.require(names)
    urls = server_urls(settings)
    interrupt_once()
    with Crew(urls.database, urls.redis, settings.lease_seconds) as crew:
        squad = Squad(WORKER, _environments(names), terms_of(settings), lambda death: _bury(crew, death))
        try:
            while squad.tend():
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            say("Shutting down workers...")
        finally:
            squad.stop()
            say("Workers stopped.")


def _environments(names: list[str]) -> dict[str, Mapping[str, str]]:
    return {name: {**os.environ, "HEADRACE_ACTIVITIES": name} for name in names} or {_ALL: {**os.environ}}


def _bury(crew: Crew, death: WorkerDeath) -> None:
    """Gives what it held to others at once; what cannot be told now, its leases tell later."""
    try:
        crew.bury(death)
    except HeadraceError as error:
        _log.warning("bury", error.message, worker=death.worker_id)
