"""`headrace workflow prune`: deletes versions that nothing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import BaseModel

from headrace.cli import lookup
from headrace.cli.answers import read
from headrace.cli.client import Client, open_client
from headrace.cli.errors import WrongUse
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, say
from headrace.graph.json_types import JsonObject


class Pruned(BaseModel):
    """The versions that are gone, or would be."""

    pruned: list[int]


@dataclass(frozen=True, slots=True)
class _Workflow:
    """A workflow, and the versions of it that nothing needs."""

    id: str
    name: str
    versions: Sequence[int]

    @property
    def text(self) -> str:
        versions = "versions" if len(self.versions) > 1 else "version"
        return f"{self.name}: {versions} {', '.join(map(str, self.versions))}"

    def as_json(self) -> JsonObject:
        return {"id": self.id, "name": self.name, "versions": [*self.versions]}


def prune(
    workflow: Annotated[
        str, typer.Option("--workflow", "-w", metavar="ID|NAME", help="Only versions of this one.")
    ] = "",
    version: Annotated[
        int | None, typer.Option("--version", "-v", min=1, help="Only this version of the workflow.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Delete old versions of workflows. Kept are the current one, the newest, and those of runs."""
    if version is not None and not workflow:
        raise WrongUse("--version needs --workflow: whose version?")
    with open_client(url) as client:
        found = _unneeded(client, workflow, version)
        if found and not (dry_run or force):
            typer.confirm(_question(found), abort=True, err=True)
        if not dry_run:
            found = [_prune(client, one, version) for one in found]
    if as_json:
        print_json([one.as_json() for one in found])
        return
    for one in found:
        say(f"Would prune {one.text}" if dry_run else f"✓ Pruned {one.text}")
    if not found:
        say("Nothing to prune.")


def _question(found: Sequence[_Workflow]) -> str:
    return "\n  ".join(["Delete these versions?", *(one.text for one in found)]) + "\n"


def _unneeded(client: Client, workflow: str, version: int | None) -> list[_Workflow]:
    """The workflows that have versions which nothing needs."""
    names = lookup.workflow_names(client)
    ids = [lookup.workflow_id(client, workflow)] if workflow else list(names)
    found = [_Workflow(one, names.get(one, one), _ask(client, one, version, is_dry=True)) for one in ids]
    return [one for one in found if one.versions]


def _prune(client: Client, one: _Workflow, version: int | None) -> _Workflow:
    return _Workflow(one.id, one.name, _ask(client, one.id, version, is_dry=False))


def _ask(client: Client, workflow_id: str, version: int | None, is_dry: bool) -> list[int]:
    body: JsonObject = {"version": version, "dryRun": is_dry}
    return read(Pruned, client.post(f"/workflows/{workflow_id}/versions/prune", body)).pruned
