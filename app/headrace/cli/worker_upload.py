"""`headrace worker upload`: the tasks and workflows of a project's folder, to the API."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli import project_folder, task_upload, workflow_upload
from headrace.cli.client import open_client
from headrace.cli.errors import Exit, WrongUse
from headrace.cli.options import AsJson, InProject, Url
from headrace.cli.output import print_json, say
from headrace.cli.project_folder import Tasks, Workflows
from headrace.cli.task_files import found_in
from headrace.graph.project import DEFAULT_PROJECT


def upload(
    force: Annotated[bool, typer.Option("--force", "-f", help="Also what is there already.")] = False,
    tasks: Tasks = project_folder.TASKS,
    workflows: Workflows = project_folder.WORKFLOWS,
    project: InProject = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Upload all tasks, and then all workflows, of the folder: `tasks upload --all` and `workflow upload`."""
    sources = list(found_in(tasks).values())
    definitions = list(project_folder.workflow_files(workflows).values())
    if not sources and not definitions:
        raise WrongUse(f"Neither task files found in {tasks} nor workflow files in {workflows}")
    with open_client(url) as client:
        wish = task_upload.Wish(project or DEFAULT_PROJECT, is_forced=force)
        done = {
            "tasks": task_upload.send(client, sources, wish, as_json),
            "workflows": workflow_upload.send(
                client, definitions, workflow_upload.Wish(project, force), as_json
            ),
        }
    well = {kind: sum("error" not in one for one in lines) for kind, lines in done.items()}
    if as_json:
        print_json({kind: [*lines] for kind, lines in done.items()})
    for kind, lines in {} if as_json else done.items():
        say(f"Summary: {well[kind]}/{len(lines)} {kind} uploaded successfully")
    if any(well[kind] < len(lines) for kind, lines in done.items()):
        raise typer.Exit(Exit.FAILED)
