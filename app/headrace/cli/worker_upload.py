"""`headrace worker upload`: the tasks and workflows of a project's folder, to the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from headrace.cli import project_folder, task_upload, workflow_upload
from headrace.cli.client import Client, open_client
from headrace.cli.errors import Exit, WrongUse
from headrace.cli.options import AsJson, InProject, Url
from headrace.cli.output import print_json, say
from headrace.cli.project_folder import Tasks, Workflows
from headrace.cli.task_files import TaskFile, found_in
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT


def upload(
    force: Annotated[bool, typer.Option("--force", "-f", help="Also what is there already.")] = False,
    tasks: Tasks = project_folder.TASKS,
    workflows: Workflows = project_folder.WORKFLOWS,
    project: InProject = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Upload the tasks of the folder that no worker brings, and then its workflows."""
    sources = list(found_in(tasks).values())
    definitions = list(project_folder.workflow_files(workflows).values())
    if not sources and not definitions:
        raise WrongUse(f"No task files found in {tasks}, and no workflow files in {workflows}")
    with open_client(url) as client:
        wish = task_upload.Wish(project or DEFAULT_PROJECT, is_forced=force)
        done = {"tasks": _send_tasks(client, sources, wish, as_json)}
        stored = workflow_upload.Wish(project, force)
        done["workflows"] = workflow_upload.send(client, definitions, stored, as_json)
    if as_json:
        print_json({kind: [*lines] for kind, lines in done.items()})
    well = {kind: sum("error" not in one for one in lines) for kind, lines in done.items()}
    for kind, lines in {} if as_json else done.items():
        say(f"Summary: {well[kind]}/{len(lines)} {kind} uploaded successfully")
    if any(well[kind] < len(lines) for kind, lines in done.items()):
        raise typer.Exit(Exit.FAILED)


def _send_tasks(
    client: Client, files: Sequence[TaskFile], wish: task_upload.Wish, is_quiet: bool
) -> list[JsonObject]:
    """What workers bring is not kept in the database, too: nobody would know which of the two runs."""
    known = task_upload.activities(client, wish.project)
    served = {one.name for one in known.values() if one.origin != "stored"}
    for file in () if is_quiet else files:
        if file.name in served:
            say(f"Task {file.name} comes with the workers")
    return task_upload.send(client, [one for one in files if one.name not in served], wish, is_quiet)
