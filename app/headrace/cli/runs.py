"""`headrace runs`: what ran, what runs, and why the rest does not. (`headrace run` starts one.)"""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli import lookup
from headrace.cli.answers import ExplanationView, RunList, read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, OfProject, OfWorkflow, Url
from headrace.cli.output import console, print_json, print_table, say, show_span, show_time, tell
from headrace.cli.run import Timeout, end
from headrace.cli.watch import get_run, print_end, task_table
from headrace.errors import NotFound

app = typer.Typer(help="List, show, explain, watch, cancel and delete runs.", no_args_is_help=True)

_COLUMNS = ("id", "workflow", "status", "started", "time")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")]


@app.command("list")
def list_(
    workflow: OfWorkflow = "",
    status: Annotated[str, typer.Option(help="Only runs with this status.")] = "",
    project: OfProject = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    with open_client(url) as client:
        query: dict[str, str | int] = {"limit": limit}
        if status:
            query["status"] = status
        if project:
            query["project"] = project
        if workflow:
            query["workflowId"] = lookup.workflow_id(client, workflow)
        answer = client.get("/runs", query)
        names = {} if as_json else lookup.workflow_names(client)
    if as_json:
        print_json(answer)
        return
    rows = (
        (
            run.id,
            names.get(run.workflow_id, run.workflow_id),
            run.status,
            show_time(run.started_at),
            show_span(run.started_at, run.finished_at),
        )
        for run in read(RunList, answer).items
    )
    print_table(_COLUMNS, rows, "No runs yet.")


@app.command()
def show(run: RunId, url: Url = "", as_json: AsJson = False) -> None:
    """Show a run with its nodes."""
    with open_client(url) as client:
        if as_json:
            print_json(client.get(run_path(run)))
            return
        found = get_run(client, _checked(run))
    console().print(task_table(found.tasks))
    print_end(found)


@app.command()
def logs(run: RunId, url: Url = "", as_json: AsJson = False) -> None:
    """Print a run's log, oldest line first."""
    with open_client(url) as client:
        if as_json:
            print_json(client.get(run_path(run) + "/logs"))
            return
        found = get_run(client, _checked(run))
    for line in found.logs:
        say(f"{show_time(line.timestamp)}  {line.type:<12} {line.node_id or '-'}: {line.message}")


@app.command()
def explain(
    run: RunId,
    node: Annotated[str, typer.Option(metavar="NODE", help="Only this node.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Say why a run and its nodes do not go on, down to the root of each chain of causes."""
    with open_client(url) as client:
        answer = client.get(run_path(run) + "/explain", {"node": node} if node else None)
    if as_json:
        print_json(answer)
        return
    found = read(ExplanationView, answer)
    say(f"Run {found.run_id} {found.says()}\n")
    rows = ((task.node_id, task.status, task.text) for task in found.tasks)
    print_table(("node", "status", "why"), rows, "No node waits, and none was passed over.")


@app.command()
def watch(run: RunId, timeout: Timeout = None, url: Url = "", as_json: AsJson = False) -> None:
    """Show a run's progress until it ends; the exit code is its status, as of `headrace run --watch`."""
    with open_client(url) as client:
        end(client, _checked(run), timeout, as_json)


@app.command()
def cancel(
    run: RunId,
    grace: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds in which code that runs may end by itself.")
    ] = 0,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Cancel a run: what runs is stopped, what has not begun never does."""
    with open_client(url) as client:
        answer = client.post(f"{run_path(run)}/cancel", query={"graceSeconds": grace} if grace else None)
    tell(answer, as_json, f"Cancelled {run}")


@app.command()
def delete(run: RunId, url: Url = "", as_json: AsJson = False) -> None:
    """Delete a run that has ended, with its nodes, its history and the runs below it."""
    with open_client(url) as client:
        answer = client.delete(run_path(run))
    tell(answer, as_json, f"Deleted {run}")


def run_path(run: str) -> str:
    return f"/runs/{_checked(run)}"


def _checked(run: str) -> str:
    if not lookup.is_id(run):
        raise NotFound(f"There is no run '{run}'; `headrace runs list` shows those that are there")
    return run
