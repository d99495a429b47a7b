"""The lines of `headrace worker list`: activities, where they come from, and whether workflows use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.offers import offers
from headrace.cli.output import complain
from headrace.cli.project_folder import workflow_files
from headrace.cli.task_answers import Activities
from headrace.graph.json_types import JsonObject

COLUMNS = ("name", "used", "origin", "source")
NOTHING = "No worker files found"


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """An activity that workers serve. source: the module, file or package with its code."""

    name: str
    is_used: bool
    origin: str
    source: str

    def row(self) -> tuple[str, ...]:
        return (f"{self.name:30}", "active" if self.is_used else "unused", self.origin, self.source)

    def as_json(self) -> JsonObject:
        used = "active" if self.is_used else "unused"
        return {"name": self.name, "used": used, "origin": self.origin, "source": self.source}


def local(tasks: Sequence[Path], workflows: Path) -> list[WorkerLine]:
    """What a worker that is started here would serve; what cannot be loaded is told on stderr."""
    found = offers(tasks)
    found.complain()
    used = {name for file in workflow_files(workflows).values() for name in file.names()}
    known = found.declarations().values()
    if all(one.origin == "built-in" for one in known):
        complain(f"{NOTHING}: HEADRACE_TASKS names no folder that has some, and neither does --tasks")
    return [WorkerLine(one.name, one.name in used, one.origin, one.source) for one in known]


def remote(url: str) -> list[WorkerLine]:
    """What the workers that run have told the API."""
    with open_client(url) as client:
        known = read(Activities, client.get("/activities")).items
    return [
        WorkerLine(one.name, bool(one.used_by), one.origin, one.source or "")
        for one in known
        if one.origin != "stored"
    ]
