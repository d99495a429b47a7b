"""The folders of a project: `tasks` with the files of activities, `workflows` with definitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from headrace.cli.documents import SUFFIXES, read_definition
from headrace.cli.errors import WrongUse
from headrace.engine.catalogue import named
from headrace.graph.json_types import JsonObject
from headrace.nodes.base import NodeRegistry

TASKS = Path("tasks")
WORKFLOWS = Path("workflows")

Tasks: TypeAlias = Annotated[
    Path, typer.Option("--tasks", metavar="DIR", help="Where the files of activities are.")
]
Workflows: TypeAlias = Annotated[
    Path, typer.Option("--workflows", metavar="DIR", help="Where the files of workflows are.")
]


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A file with a definition."""

    path: Path
    definition: JsonObject

    @property
    def name(self) -> str:
        """The workflow's."""
        return str(self.definition["name"])

    def names(self) -> set[str]:
        """Whatever could name an activity in it, also in the graphs inside nodes."""
        return {one.name for one in named(self.definition)}

    def needs(self, nodes: NodeRegistry) -> bool:
        """Whether it names an activity, or a node type that is none of these."""
        return any(one.key == "activity" or nodes.get(one.name) is None for one in named(self.definition))


def workflow_files(folder: Path) -> dict[str, WorkflowFile]:
    """The definitions of a folder by their names; what begins with `_` or `.` is none.

    Raises WrongUse when one cannot be read, or two have one name.
    """
    found: dict[str, WorkflowFile] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in SUFFIXES or path.name.startswith(("_", ".")):
            continue
        file = WorkflowFile(path, read_definition(path))
        if file.name in found:
            raise WrongUse(f"{found[file.name].path} and {path} have one name, '{file.name}'")
        found[file.name] = file
    return found


def chosen(files: dict[str, WorkflowFile], name: str) -> list[WorkflowFile]:
    """The file of the workflow with this name, or the file that has it; '' is for all. Raises WrongUse."""
    wanted = [one for one in files.values() if name in ("", one.name, one.path.stem, one.path.name)]
    if name and not wanted:
        raise WrongUse(f"No workflow '{name}' here; there are {', '.join(files) or 'none'}")
    return wanted
