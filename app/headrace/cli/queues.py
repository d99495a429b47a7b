"""`headrace queue`: what stands in the queues."""

from __future__ import annotations

import typer

from headrace.cli.answers import QueueList, read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table

app = typer.Typer(help="Look at the queues.", no_args_is_help=True)

_COLUMNS = ("queue", "queued", "started", "finished", "failed")


@app.callback()
def queue() -> None:
    """Look at the queues."""


@app.command("list")
def list_(url: Url = "", as_json: AsJson = False) -> None:
    """List the queues with their depths."""
    with open_client(url) as client:
        answer = client.get("/queues")
    if as_json:
        print_json(answer)
        return
    items = read(QueueList, answer).items
    rows = ((one.name, *map(str, (one.queued, one.started, one.finished, one.failed))) for one in items)
    print_table(_COLUMNS, rows, "No queues yet.")
