"""`headrace worker` and `headrace scale`: the processes that do the work."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import anyio
import typer

from headrace import config
from headrace.cli import project_folder, worker_lines, worker_processes, worker_start, worker_upload
from headrace.cli.answers import WorkerLine, WorkerList, read
from headrace.cli.client import Client, open_client
from headrace.cli.database import open_database
from headrace.cli.errors import Exit
from headrace.cli.options import AsJson, Url
from headrace.cli.output import complain, print_json, print_table, say, show_time, tell
from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT
from headrace.store import workers
from headrace.store.workers import Worker

app = typer.Typer(help="Start, list and check worker processes.", no_args_is_help=True)

_SCALE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_FRESH = timedelta(seconds=30)
_COLUMNS = ("name", "host", "pid", "state", "projects", "running", "completed", "failed", "heartbeat")


app.command("start")(worker_start.start)
app.command("ps")(worker_processes.ps)
app.command("killall")(worker_processes.killall)
app.command("upload")(worker_upload.upload)


@app.command("list")
def list_(
    remote: Annotated[
        bool, typer.Option("--remote", "-r", help="What the workers that run have told, not what is here.")
    ] = False,
    tasks: worker_start.Tasks = None,
    workflows: project_folder.Workflows = project_folder.WORKFLOWS,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List the activities that workers serve, and whether workflows use them: those of this folder."""
    lines = worker_lines.remote(url) if remote else worker_lines.local(tasks or (), workflows)
    if as_json:
        print_json([line.as_json() for line in lines])
    else:
        print_table(worker_lines.COLUMNS, (line.row() for line in lines), worker_lines.NOTHING)


@app.command()
def status(url: Url = "", as_json: AsJson = False) -> None:
    """List the worker processes of all machines, and what they do."""
    with open_client(url) as client:
        _print(client.get("/workers"), as_json)


@app.command()
def stop(
    project: Annotated[str, typer.Option(help="Whose workers.")] = DEFAULT_PROJECT,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Want no workers for a project any more: they finish or hand back what they do, and are gone."""
    with open_client(url) as client:
        answer = client.post("/workers/stop", {"projectId": project})
    tell(answer, as_json, f"Workers stopped for project {project}")


@app.command()
def check() -> None:
    """Exit with 0 when a worker of this host has a fresh heartbeat in the database, else with 1."""
    alive = [
        one for one in anyio.run(_known_workers) if is_fresh(one, socket.gethostname(), datetime.now(UTC))
    ]
    if not alive:
        complain(f"no worker on {socket.gethostname()} has a fresh heartbeat")
        raise typer.Exit(Exit.FAILED)
    say(f"{len(alive)} alive")


def scale(
    count: Annotated[int, typer.Argument(min=0, max=1000, help="How many worker processes.")],
    project: Annotated[str, typer.Option(help="Whose workers.")] = DEFAULT_PROJECT,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Set the number of worker processes of a project, and wait until they run."""
    with open_client(url) as client:
        client.put("/workers/desired", {"count": count, "project": project})
        _print(_wait_for(client, count, project), as_json)


def is_fresh(worker: Worker, host: str, now: datetime) -> bool:
    """Whether it is a living worker of this host."""
    return (
        worker.host == host
        and worker.state in ("starting", "running")
        and now - worker.last_heartbeat < _FRESH
    )


async def _known_workers() -> list[Worker]:
    async with open_database(config.load()) as db:
        return await db.transact(workers.all_workers)


def _wait_for(client: Client, count: int, project: str) -> JsonValue:
    deadline = time.monotonic() + _SCALE_SECONDS
    while True:
        answer = client.get("/workers")
        running = sum(project in one.projects for one in read(WorkerList, answer).running())
        if running == count:
            return answer
        if time.monotonic() > deadline:
            raise HeadraceError(
                f"{running} of {count} workers run after {_SCALE_SECONDS:.0f} s. Does `headrace up` or "
                "`headrace worker start --follow` run? Workers that you start yourself are not scaled"
            )
        time.sleep(_LOOK_SECONDS)


def _print(answer: JsonValue, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        print_table(_COLUMNS, map(_row, read(WorkerList, answer).items), "No workers.")


def _row(worker: WorkerLine) -> tuple[str, ...]:
    counts = (worker.running, worker.completed, worker.failed)
    facts = (worker.name, worker.host, str(worker.pid), worker.state, ", ".join(worker.projects))
    return (*facts, *map(str, counts), show_time(worker.last_heartbeat))
