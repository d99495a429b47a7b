"""`headrace workflow`: definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli import (
    lookup,
    versions,
    workflow_list,
    workflow_prune,
    workflow_upload,
    workflow_validate,
)
from headrace.cli.client import open_client
from headrace.cli.documents import read_definition, read_foreign_definition
from headrace.cli.errors import show_problem
from headrace.cli.options import AsJson, InProject, Url
from headrace.cli.output import complain, print_json, say
from headrace.graph.imports.formats import Format, read_foreign

app = typer.Typer(
    help="List, show, create, upload, import, delete, prune and validate workflows.", no_args_is_help=True
)
app.command("versions")(versions.versions)
app.command("activate")(versions.activate)
app.command("diff")(versions.diff)
app.command("list")(workflow_list.list_)
app.command("ls", hidden=True)(workflow_list.list_)
app.command("upload")(workflow_upload.upload)
app.command("prune")(workflow_prune.prune)
app.command("validate")(workflow_validate.validate)

File = Annotated[Path, typer.Argument(help="A definition in JSON or YAML, in either form; - for stdin.")]
Foreign = Annotated[Path, typer.Argument(help="Another system's definition in JSON or YAML; - for stdin.")]
From = Annotated[Format, typer.Option("--format", help="The system that it is from.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what it becomes, in JSON; needs no server.")]
Name = Annotated[str, typer.Argument(metavar="ID|NAME", help="A workflow's id or exact name.")]


@app.command()
def show(name: Name, url: Url = "") -> None:
    """Print a workflow's current version as JSON."""
    with open_client(url) as client:
        print_json(client.get(f"/workflows/{lookup.workflow_id(client, name)}"))


@app.command()
def create(file: File, project: InProject = "", url: Url = "", as_json: AsJson = False) -> None:
    """Save a new workflow and print its id."""
    with open_client(url) as client:
        made = lookup.create(client, read_definition(file), project)
    if as_json:
        print_json({"id": made})
    else:
        say(made)


@app.command()
def delete(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Cancel its active runs first.")] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Delete a workflow with all its runs; refused while one of them is active."""
    with open_client(url) as client:
        found = lookup.workflow_id(client, name)
        client.delete(f"/workflows/{found}" + ("?force=true" if force else ""))
    if as_json:
        print_json({"id": found, "deleted": True})
    else:
        say(f"Deleted {found}")


@app.command("import")
def import_(
    file: Foreign,
    format: From,
    dry_run: DryRun = False,
    project: InProject = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Save a definition of another system as a new workflow and print its id."""
    document = read_foreign_definition(file)
    if dry_run:
        imported = read_foreign(format, document)
        for one in imported.notes:
            complain(f"Note: {show_problem(one)}")
        print_json(imported.document)
        return
    with open_client(url) as client:
        made = lookup.import_(client, format.value, document, project)
    if as_json:
        print_json({"id": made})
    else:
        say(made)
