"""`headrace run`: starts a workflow, and watches it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli import lookup, watch
from headrace.cli.answers import Started, read
from headrace.cli.client import Client, open_client
from headrace.cli.documents import is_definition, read_definition, read_input
from headrace.cli.errors import Exit
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, say
from headrace.graph.json_types import JsonValue

Timeout = Annotated[
    float | None, typer.Option(min=0.1, help="Seconds to watch; then exit code 5, and the run goes on.")
]


def run(
    what: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A definition, a workflow's name or id.")],
    run_input: Annotated[str, typer.Option("--input", metavar="JSON|@FILE", help="The run's input.")] = "",
    watched: Annotated[bool, typer.Option("--watch", help="Show its progress until it ends.")] = False,
    timeout: Timeout = None,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Start a run. A FILE is saved first, as the workflow with its name.

    With --watch the exit code is the run's status: 0 succeeded, 1 failed, 3 cancelled.
    """
    document = read_input(run_input) if run_input else None
    with open_client(url) as client:
        run_id = start(client, _saved(client, what), document)
        if watched:
            end(client, run_id, timeout, as_json)
        elif as_json:
            print_json({"runId": run_id})
        else:
            say(run_id)


def start(client: Client, workflow_id: str, run_input: JsonValue) -> str:
    """Starts a run and returns its id. Raises NotFound, Refused."""
    body: JsonValue = {} if run_input is None else {"input": run_input}
    return read(Started, client.post(f"/workflows/{workflow_id}/execute-async", body)).run_id


def end(client: Client, run_id: str, timeout: float | None, as_json: bool) -> None:
    """Watches a run until its end and leaves with its exit code. as_json: says nothing but the run."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    if as_json:
        ended = watch.wait(client, run_id, deadline)
        print_json(client.get(f"/runs/{run_id}"))
    else:
        say(f"Run {run_id}")
        ended = watch.watch(client, run_id, deadline)
        watch.print_end(ended)
    if (code := watch.exit_of(ended)) is not Exit.OK:
        raise typer.Exit(code)


def _saved(client: Client, what: str) -> str:
    if is_definition(what):
        return lookup.save(client, read_definition(Path(what)))
    return lookup.workflow_id(client, what)
