"""`headrace runs bulk`: what operators do to many runs at once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli import lookup
from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, OfWorkflow, Url
from headrace.cli.output import print_json, print_table, say
from headrace.graph.json_types import JsonObject

Action: TypeAlias = Literal["cancel", "retry", "rerun", "delete"]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Refusal(_Answer):
    """A run to which it could not be done."""

    run_id: str
    message: str


class Bulk(_Answer):
    """What became of the runs that were found. created: the new runs of a rerun."""

    matched: list[str]
    done: list[str]
    refused: list[Refusal]
    created: list[str]


def bulk(
    action: Annotated[Action, typer.Argument(help="What to do to each run.")],
    workflow: OfWorkflow = "",
    status: Annotated[str, typer.Option(help="Only runs with this status.")] = "",
    after: Annotated[str, typer.Option(metavar="TIME", help="Only those that started then or later.")] = "",
    before: Annotated[str, typer.Option(metavar="TIME", help="Only those that started before.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, oldest first.")] = 100,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only find them.")] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Cancel, retry, rerun or delete all runs that are found; what one refuses stops no other.

    A TIME is ISO 8601; without a zone it is UTC.
    """
    given = {"status": status, "startedAfter": after, "startedBefore": before}
    body: JsonObject = {name: value for name, value in given.items() if value}
    body |= {"limit": limit, "dryRun": dry}
    with open_client(url) as client:
        if workflow:
            body["workflowId"] = lookup.workflow_id(client, workflow)
        if action == "delete":
            answer = client.post("/runs/delete", body)
        else:
            answer = client.post("/runs/bulk", {"action": action, **body})
    if as_json:
        print_json(answer)
    else:
        _show(action, read(Bulk, answer), dry)


def _show(action: Action, bulk: Bulk, dry: bool) -> None:
    if dry:
        print_table(("run",), ((run,) for run in bulk.matched), "No run is found.")
        return
    say(f"{action}: {len(bulk.matched)} found, {len(bulk.done)} done, {len(bulk.refused)} refused")
    if bulk.created:
        print_table(("new run",), ((run,) for run in bulk.created), "")
    if bulk.refused:
        print_table(("run", "why not"), ((one.run_id, one.message) for one in bulk.refused), "")
