"""`headrace tasks`: activities whose source is kept in the database, and the files that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli import project_folder, task_files
from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.errors import WrongUse
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table, say, tell
from headrace.cli.project_folder import Tasks
from headrace.cli.task_answers import Activity, Uploaded
from headrace.cli.task_files import TaskFile
from headrace.cli.task_upload import Wish, activities, send
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT

app = typer.Typer(
    help="List, upload and purge activities that are kept in the database.", no_args_is_help=True
)

_COLUMNS = ("name", "used", "origin", "version", "file")

Local = Annotated[bool, typer.Option("--local", "-l", help="Only files.")]
Remote = Annotated[bool, typer.Option("--remote", "-r", help="Only what the API knows.")]
All = Annotated[bool, typer.Option("--all", "-a", help="Both, which is the default.")]
Sync = Annotated[bool, typer.Option("--sync", help="How the files differ from what is active.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Project = Annotated[str, typer.Option(help="Whose activities.")]


def list_(
    local: Local = False,
    remote: Remote = False,
    all_: All = False,
    sync: Sync = False,
    tasks: Tasks = project_folder.TASKS,
    project: Project = DEFAULT_PROJECT,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List activities: files of the folder, and those that the API knows."""
    if sum((local, remote, all_)) > 1:
        raise WrongUse("--local, --remote and --all exclude each other")
    files = {} if remote else task_files.found_in(tasks)
    known: dict[str, Activity] = {}
    if not local or sync:
        with open_client(url) as client:
            known = activities(client, project)
    names = sorted(files.keys() | (set() if local else known.keys()))
    lines = [_Line(name, files.get(name), known.get(name)) for name in names]
    if as_json:
        print_json([line.as_json(sync) for line in lines])
        return
    columns = (*_COLUMNS, "sync") if sync else _COLUMNS
    print_table(columns, (line.row(sync) for line in lines), "No activities.")


app.command("list")(list_)
app.command("ls", hidden=True)(list_)


@app.command()
def upload(
    name: Annotated[str, typer.Argument(metavar="[NAME|FILE]", help="One of the folder, or any file.")] = "",
    all_: Annotated[bool, typer.Option("--all", "-a", help="All files of the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Also what is active already.")] = False,
    entry: Annotated[str | None, typer.Option(help="The function to call.")] = None,
    activate: Annotated[bool, typer.Option(help="Let new runs use it from now on.")] = True,
    tasks: Tasks = project_folder.TASKS,
    project: Project = DEFAULT_PROJECT,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Keep the source of activities in the database; new runs use it from now on."""
    files = _chosen(name, all_, tasks)
    with open_client(url) as client:
        done = send(client, files, Wish(project, entry, activate, force), as_json)
    well = [one for one in done if "error" not in one]
    if as_json:
        print_json([*done])
    elif all_:
        say(f"Summary: {len(well)}/{len(done)} tasks uploaded successfully")
    if len(well) < len(done):
        raise typer.Exit(1)


@app.command()
def activate(
    name: str,
    hash: Annotated[str, typer.Argument(help="A version's hash, or its first 8 characters or more.")],
    project: Project = DEFAULT_PROJECT,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Let new runs use a version; runs that are under way keep theirs."""
    with open_client(url) as client:
        answer = client.post(f"/activities/{name}/activate?project={project}", {"hash": hash})
    tell(answer, as_json, f"New runs use version {hash[:12]} of {name}")


@app.command()
def rollback(name: str, project: Project = DEFAULT_PROJECT, url: Url = "", as_json: AsJson = False) -> None:
    """Let new runs use the version that was active before."""
    with open_client(url) as client:
        answer = client.post(f"/activities/{name}/rollback?project={project}")
    tell(answer, as_json, f"New runs use version {read(Uploaded, answer).hash[:12]} of {name}")


@app.command()
def purge(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="An activity.")] = "",
    orphaned: Annotated[bool, typer.Option("--orphaned", help="All that no workflow uses.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Although something uses it.")] = False,
    yes: Yes = False,
    project: Project = DEFAULT_PROJECT,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Delete activities with all their versions; refused while a workflow or a run uses one."""
    if bool(name) == orphaned:
        raise WrongUse("Please name an activity, or give --orphaned")
    with open_client(url) as client:
        stored = [one for one in activities(client, project).values() if one.origin == "stored"]
        names = [one.name for one in stored if not one.used_by] if orphaned else [name]
        if names and not yes:
            typer.confirm(f"Delete {', '.join(names)} with all versions?", abort=True, err=True)
        for one in names:
            client.delete(f"/activities/{one}?project={project}" + ("&force=true" if force else ""))
    if as_json:
        print_json({"purged": [*names]})
        return
    for one in names:
        say(f"Purged {one}")
    if not names:
        say("Nothing to purge.")


class _Line:
    """A name in the list: a file, an activity, or both."""

    def __init__(self, name: str, file: TaskFile | None, known: Activity | None) -> None:
        self._name, self._file, self._known = name, file, known

    def row(self, sync: bool) -> tuple[str, ...]:
        known = self._known
        used = "" if known is None else "active" if known.used_by else "unused"
        version = known.active.hash[:12] if known and known.active else ""
        file = str(self._file.path) if self._file else ""
        cells = (self._name, used, known.origin if known else "file", version, file)
        return (*cells, self._state()) if sync else cells

    def as_json(self, sync: bool) -> JsonObject:
        known = self._known
        line: JsonObject = {"name": self._name, "file": str(self._file.path) if self._file else None}
        line["origin"] = known.origin if known else None
        line["hash"] = known.active.hash if known and known.active else None
        line["usedBy"] = [*known.used_by] if known else []
        return line | {"sync": self._state()} if sync else line

    def _state(self) -> str:
        if self._file is None:
            return "no file"
        if self._known is None or self._known.active is None:
            return "not uploaded"
        return "same" if self._file.is_active_in(self._known) else "differs"


def _chosen(name: str, all_: bool, folder: Path) -> list[TaskFile]:
    if bool(name) == all_:
        raise WrongUse("Please name a task, or give --all")
    if not all_:
        return [task_files.named(name, folder)]
    files = list(task_files.found_in(folder).values())
    if not files:
        raise WrongUse(f"No task files found in {folder}")
    return files
