"""`headrace webhook`: addresses that others deliver to, to start runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli import lookup
from headrace.cli.answers import read
from headrace.cli.client import Client, open_client
from headrace.cli.documents import read_input, text_of
from headrace.cli.options import AsJson, OfProject, OfWorkflow, Url
from headrace.cli.output import print_json, print_table, tell
from headrace.graph.json_types import JsonObject

app = typer.Typer(help="Start runs by deliveries from outside.", no_args_is_help=True)

_COLUMNS = ("id", "path", "workflow", "signed", "state")
_KEPT = "/webhooks/subscriptions"
_MOST = 1000

Name = Annotated[str, typer.Argument(metavar="ID|PATH", help="A webhook's id or its path.")]


class WebhookLine(BaseModel):
    """A webhook in a list."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    id: str
    path: str
    workflow_id: str
    has_secret: bool
    is_active: bool

    def cells(self, names: dict[str, str]) -> tuple[str, ...]:
        signed, state = "yes" if self.has_secret else "no", "active" if self.is_active else "off"
        return self.id, self.path, names.get(self.workflow_id, self.workflow_id), signed, state


class WebhookList(BaseModel):
    """Webhooks, newest first."""

    items: list[WebhookLine]


@app.command("list")
def list_(workflow: OfWorkflow = "", project: OfProject = "", url: Url = "", as_json: AsJson = False) -> None:
    """List webhooks, newest first."""
    with open_client(url) as client:
        query: dict[str, str | int] = {"limit": _MOST}
        if workflow:
            query["workflowId"] = lookup.workflow_id(client, workflow)
        if project:
            query["project"] = project
        answer = client.get(_KEPT, query)
        names = {} if as_json else lookup.workflow_names(client)
    if as_json:
        print_json(answer)
        return
    rows = (one.cells(names) for one in read(WebhookList, answer).items)
    print_table(_COLUMNS, rows, "No webhooks yet.")


@app.command()
def create(
    workflow: Annotated[str, typer.Argument(metavar="ID|NAME", help="The workflow to start.")],
    path: Annotated[str, typer.Argument(help="Where to deliver to, below `/webhooks/`.")],
    secret: Annotated[
        str, typer.Option(metavar="TEXT|@FILE", help="The sender signs with it; else nothing is signed.")
    ] = "",
    filters: Annotated[
        str, typer.Option(metavar="JSON|@FILE", help="Values that a payload must have, by dotted path.")
    ] = "{}",
    mapping: Annotated[
        str, typer.Option(metavar="JSON|@FILE", help="What the run's input is made from.")
    ] = "null",
    tolerance: Annotated[
        float | None, typer.Option(help="Seconds that the signed X-Timestamp may be old.")
    ] = None,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Add a webhook and print where to deliver to."""
    body: JsonObject = {
        "path": path,
        "secret": (text_of(Path(secret[1:])).strip() if secret.startswith("@") else secret) or None,
        "filters": read_input(filters, "--filters"),
        "mapping": read_input(mapping, "--mapping"),
        "tolerance": tolerance,
    }
    with open_client(url) as client:
        answer = client.post(_KEPT, {"workflowId": lookup.workflow_id(client, workflow), **body})
        tell(answer, as_json, f"{client.url}/webhooks/{read(WebhookLine, answer).path}")


@app.command()
def show(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Show a webhook with its filters and mapping; its secret is never shown."""
    with open_client(url) as client:
        answer = client.get(f"{_KEPT}/{_id(client, name)}")
    if as_json or not isinstance(answer, dict):
        print_json(answer)
    else:
        rows = ((key, one if isinstance(one, str) else json.dumps(one)) for key, one in answer.items())
        print_table(("setting", "value"), rows, "")


@app.command()
def enable(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Let a webhook take deliveries again."""
    _turn(name, True, url, as_json)


@app.command()
def disable(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Let a webhook answer 404 until it is enabled again."""
    _turn(name, False, url, as_json)


@app.command()
def delete(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Delete a webhook; the runs that it has started go on."""
    with open_client(url) as client:
        found = _id(client, name)
        client.delete(f"{_KEPT}/{found}")
    tell({"id": found, "deleted": True}, as_json, f"Deleted {found}")


def _turn(name: str, on: bool, url: str, as_json: bool) -> None:
    with open_client(url) as client:
        answer = client.put(f"{_KEPT}/{_id(client, name)}", {"isActive": on})
    tell(answer, as_json, f"{'Enabled' if on else 'Disabled'} {name}")


def _id(client: Client, name: str) -> str:
    """The id that `name` is, or that of the webhook with this path."""
    if lookup.is_id(name):
        return name
    found = read(WebhookList, client.get(_KEPT, {"limit": _MOST})).items
    return lookup.id_of("webhook", name, [one.id for one in found if one.path == name])
