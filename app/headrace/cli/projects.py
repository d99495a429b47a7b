"""`headrace projects`: which there are."""

from __future__ import annotations

from headrace.cli.answers import ProjectList, read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table

_COLUMNS = ("name", "workflows", "active runs", "workers", "own workers")


def projects(url: Url = "", as_json: AsJson = False) -> None:
    """List the projects, with what each has."""
    with open_client(url) as client:
        answer = client.get("/projects")
    if as_json:
        print_json(answer)
        return
    rows = (
        (one.name, *map(str, (one.workflows, one.active_runs, one.workers, one.own_workers)))
        for one in read(ProjectList, answer).items
    )
    print_table(_COLUMNS, rows, "No projects.")
