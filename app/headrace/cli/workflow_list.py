"""`headrace workflow list`: workflows that are stored, and those in the files of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from headrace.cli import lookup, project_folder
from headrace.cli.answers import WorkflowLine
from headrace.cli.client import open_client
from headrace.cli.errors import WrongUse
from headrace.cli.options import AsJson, OfProject, Url
from headrace.cli.output import print_json, print_table, show_milliseconds
from headrace.cli.project_folder import WorkflowFile, Workflows
from headrace.graph.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class _Line:
    """A workflow that is stored, a file, or both."""

    name: str
    stored: WorkflowLine | None = None
    file: WorkflowFile | None = None

    def row(self, columns: Sequence[str]) -> tuple[str, ...]:
        cells = {"name": self.name, "file": str(self.file.path) if self.file else ""}
        if self.stored is not None:
            cells |= {"id": self.stored.id, "changed": show_milliseconds(self.stored.updated_at)}
            cells |= {"version": str(self.stored.version or ""), "project": self.stored.project}
        return tuple(cells.get(column, "") for column in columns)

    def as_json(self, with_versions: bool) -> JsonObject:
        hidden = None if with_versions else {"version"}
        stored = self.stored.model_dump(by_alias=True, exclude=hidden) if self.stored else {"id": None}
        file = {"file": str(self.file.path)} if self.file else {}
        return {**stored, "name": self.name, **file}


def list_(
    local: Annotated[bool, typer.Option("--local", "-l", help="Only files of the folder.")] = False,
    remote: Annotated[bool, typer.Option("--remote", "-r", help="Only what is stored: the default.")] = False,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Both.")] = False,
    no_versions: Annotated[bool, typer.Option("--no-versions", help="Without the current versions.")] = False,
    workflows: Workflows = project_folder.WORKFLOWS,
    project: OfProject = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List workflows, last changed first; those that only files have come last."""
    if sum((local, remote, all_)) > 1:
        raise WrongUse("--local, --remote and --all exclude each other")
    files = project_folder.workflow_files(workflows) if local or all_ else {}
    lines = list(_lines([] if local else _stored(url, project), files))
    if as_json:
        print_json([line.as_json(not no_versions) for line in lines])
        return
    columns = [one for one in _columns(local, all_) if one != "version" or not no_versions]
    print_table(columns, (line.row(columns) for line in lines), "No workflows yet.")


def _columns(local: bool, all_: bool) -> tuple[str, ...]:
    if local:
        return ("name", "file")
    return ("id", "name", "project", "version", "changed", *(("file",) if all_ else ()))


def _stored(url: str, project: str) -> list[WorkflowLine]:
    with open_client(url) as client:
        return lookup.all_workflows(client, project)


def _lines(stored: Sequence[WorkflowLine], files: dict[str, WorkflowFile]) -> Iterator[_Line]:
    yield from (_Line(one.name, one, files.get(one.name)) for one in stored)
    known = {one.name for one in stored}
    yield from (_Line(name, None, file) for name, file in files.items() if name not in known)
