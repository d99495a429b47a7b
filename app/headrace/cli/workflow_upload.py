"""`headrace workflow upload`: the definitions of a folder become versions, those that have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from headrace.cli import lookup, project_folder
from headrace.cli.answers import WorkflowLine
from headrace.cli.client import Client, open_client
from headrace.cli.errors import Exit, WrongUse, describe
from headrace.cli.options import AsJson, InProject, Url
from headrace.cli.output import complain, print_json, say
from headrace.cli.project_folder import WorkflowFile, Workflows
from headrace.errors import InvalidInput
from headrace.graph.definition import parse, to_wire
from headrace.graph.json_types import JsonObject
from headrace.graph.project import DEFAULT_PROJECT

Only = Annotated[str, typer.Option("--workflow", "-w", metavar="NAME", help="Only this one.")]


def upload(
    workflow: Only = "",
    force: Annotated[bool, typer.Option("--force", "-f", help="Also what is stored already.")] = False,
    workflows: Workflows = project_folder.WORKFLOWS,
    project: InProject = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Store the workflows of a folder, each whole or not at all. New runs use what was stored.

    A workflow is known by its name. Warnings tell what will surprise, as an activity that nobody has.
    """
    files = project_folder.chosen(project_folder.workflow_files(workflows), workflow)
    if not files:
        raise WrongUse(f"No workflow files found in {workflows}")
    with open_client(url) as client:
        done = send(client, files, Wish(project, force), as_json)
    well = sum("error" not in one for one in done)
    if as_json:
        print_json([*done])
    else:
        say(f"Summary: {well}/{len(done)} workflows uploaded successfully")
    if well < len(done):
        raise typer.Exit(Exit.FAILED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of all files. project: '' for the one that they name, or else the default one."""

    project: str = ""
    is_forced: bool = False


def send(client: Client, files: Sequence[WorkflowFile], wish: Wish, is_quiet: bool) -> list[JsonObject]:
    """Stores these definitions; what became of each, with `error` where it was refused."""
    upload = _Upload(client, wish)
    done = []
    for file in files:
        done.append(upload.send(file))
        if not is_quiet:
            _tell(done[-1])
    return done


def _tell(done: JsonObject) -> None:
    if "error" in done:
        complain(f"✗ {done['name']}: {done['error']}")
    elif done["isNew"]:
        say(f"✓ Uploaded workflow: {done['name']}")
    else:
        say(f"Workflow {done['name']} is up to date")


class _Upload:
    """Sends files to the API."""

    def __init__(self, client: Client, wish: Wish) -> None:
        self._client, self._wish = client, wish
        self._known = _ids(lookup.all_workflows(client))

    def send(self, file: WorkflowFile) -> JsonObject:
        """What became of it: one request that stores all of it, none if it is stored already."""
        line: JsonObject = {"name": file.name, "file": str(file.path)}
        try:
            found = self._id_of(file)
            if found and not self._wish.is_forced and self._is_stored(found, file.definition):
                return {**line, "id": found, "isNew": False}
            return {**line, "id": self._store(found, file.definition), "isNew": True}
        except (InvalidInput, WrongUse) as error:
            return {**line, "error": describe(error)}

    def _id_of(self, file: WorkflowFile) -> str:
        """'' for one that is not there yet. Raises WrongUse when several have the name."""
        owner = self._wish.project or str(file.definition.get("project") or DEFAULT_PROJECT)
        ids = self._known.get((owner, file.name), [])
        return lookup.id_of("workflow", file.name, ids) if ids else ""

    def _is_stored(self, workflow_id: str, definition: JsonObject) -> bool:
        stored = self._client.get(f"/workflows/{workflow_id}")
        return to_wire(parse(stored)) == to_wire(parse(definition))

    def _store(self, workflow_id: str, definition: JsonObject) -> str:
        if workflow_id:
            return lookup.update(self._client, workflow_id, definition)
        return lookup.create(self._client, definition, self._wish.project)


def _ids(lines: Sequence[WorkflowLine]) -> dict[tuple[str, str], list[str]]:
    """By project and name."""
    ids: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        ids.setdefault((line.project, line.name), []).append(line.id)
    return ids
