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
from headrace.cli.documents import is_definition, read_definition, read_document, read_input
from headrace.cli.errors import Exit
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, say, tell
from headrace.graph.json_types import JsonObject

Timeout = Annotated[
    float | None, typer.Option(min=0.1, help="Seconds to watch; then exit code 5, and the run goes on.")
]


def run(
    what: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A definition, a workflow's name or id.")],
    run_input: Annotated[str, typer.Option("--input", metavar="JSON|@FILE", help="The run's input.")] = "",
    watched: Annotated[bool, typer.Option("--watch", help="Show its progress until it ends.")] = False,
    timeout: Timeout = None,
    priority: Annotated[
        str, typer.Option(metavar="PRIORITY", help="LOW, NORMAL, HIGH, CRITICAL, or a number of these.")
    ] = "",
    key: Annotated[
        str,
        typer.Option("--idempotency-key", metavar="KEY", help="The same key a second time starts no run."),
    ] = "",
    breakpoints: Annotated[
        list[str],
        typer.Option("--breakpoint", metavar="NODE", help="Stop before this node; may be repeated."),
    ] = [],  # noqa: B006
    steps: Annotated[
        bool, typer.Option("--step", help="Stop before each node; `headrace runs step` goes on.")
    ] = False,
    mocks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answers of nodes that are not run, by node.")
    ] = None,
    project: Annotated[str, typer.Option(help="Where the workflow is, or a FILE is saved.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Start a run. A FILE is saved first, as the workflow with its name.

    With --watch the exit code is the run's status: 0 succeeded, 1 failed, 3 cancelled.
    """
    body: JsonObject = {}
    if run_input:
        body["input"] = read_input(run_input)
    if priority:
        body["priority"] = int(priority) if priority.isdecimal() else priority
    if breakpoints or steps:
        body |= {"breakpoints": [*breakpoints], "steps": steps}
    if mocks is not None:
        body["mocks"] = read_document(mocks)
    with open_client(url) as client:
        run_id = start(client, _saved(client, what, project), body, key)
        if watched:
            end(client, run_id, timeout, as_json)
        else:
            tell({"runId": run_id}, as_json, run_id)


def start(client: Client, workflow_id: str, body: JsonObject, key: str = "") -> str:
    """Starts a run and returns its id. key: an Idempotency-Key. Raises NotFound, Refused."""
    return read(Started, client.post(f"/workflows/{workflow_id}/execute-async", body, key=key)).run_id


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


def _saved(client: Client, what: str, project: str) -> str:
    if is_definition(what):
        return lookup.save(client, read_definition(Path(what)), project)
    return lookup.workflow_id(client, what, project)
