"""`headrace`: the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from headrace.cli import (
    bulk,
    demo,
    events,
    init,
    people,
    projects,
    queues,
    run,
    run_control,
    runs,
    schedules,
    secrets,
    server,
    stack,
    statistics,
    tasks,
    verify,
    webhooks,
    workers,
    workflows,
)
from headrace.cli.errors import describe, exit_code
from headrace.cli.output import complain
from headrace.errors import HeadraceError

app = typer.Typer(
    name="headrace",
    help="Run graphs of tasks on Redis queues. `headrace up` starts everything on this machine.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("init")(init.init)
app.command("up")(stack.up)
app.command("demo")(demo.demo)
app.command("scale")(workers.scale)
app.command("run")(run.run)
app.add_typer(workflows.app, name="workflow")
for command in (
    run_control.pause,
    run_control.resume,
    run_control.retry,
    run_control.rerun,
    run_control.step,
    people.signal,
    people.signals,
    bulk.bulk,
):
    runs.app.command()(command)
app.add_typer(runs.app, name="runs")
app.add_typer(people.app, name="approval")
app.add_typer(schedules.app, name="schedule")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(events.app, name="event")
app.command("projects")(projects.projects)
app.add_typer(secrets.app, name="secret")
app.add_typer(workers.app, name="worker")
app.add_typer(tasks.app, name="tasks")
app.add_typer(queues.app, name="queue")
app.command("stats")(statistics.stats)
app.command("api")(server.api)
app.command("migrate")(server.migrate)
app.command("verify")(verify.verify)
app.command("version")(server.version)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """What the `headrace` program does. What a user can mend is a text and an exit code, no traceback."""
    try:
        app(arguments)
    except HeadraceError as error:
        complain(describe(error))
        sys.exit(exit_code(error))
    sys.exit(0)
