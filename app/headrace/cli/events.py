"""`headrace event`: tells Headrace what happened outside."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.documents import read_input
from headrace.cli.options import AsJson, Url
from headrace.cli.output import complain, print_json, print_table
from headrace.graph.json_types import JsonObject

app = typer.Typer(
    help="Tell what happened; event handlers start runs or complete waits.", no_args_is_help=True
)

_COLUMNS = ("handler", "status", "run or reason")
_HANDLERS = ("name", "events", "action", "state")
_MOST = 1000


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class HandlerResult(_Answer):
    """What a handler did."""

    handler: str
    status: str
    run_id: str | None = None
    reason: str | None = None


class EventView(_Answer):
    """What an event did. is_new: False when its id was known."""

    is_new: bool
    results: list[HandlerResult]


class HandlerLine(_Answer):
    """An event handler in a list."""

    name: str
    pattern: str
    action: JsonObject
    is_active: bool

    def cells(self) -> tuple[str, ...]:
        what, about = self.action.get("type"), self.action.get("workflowId") or self.action.get("signal")
        return self.name, self.pattern, f"{what} {about}", "active" if self.is_active else "off"


class HandlerList(_Answer):
    """Event handlers by name."""

    items: list[HandlerLine]


@app.command()
def handlers(url: Url = "", as_json: AsJson = False) -> None:
    """List what is done about events."""
    with open_client(url) as client:
        answer = client.get("/event-handlers", {"limit": _MOST})
    if as_json:
        print_json(answer)
        return
    print_table(_HANDLERS, (one.cells() for one in read(HandlerList, answer).items), "No handlers yet.")


@app.command()
def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What happened, as `order.paid`.")],
    data: Annotated[str, typer.Option(metavar="JSON|@FILE", help="What there is to know about it.")] = "",
    id: Annotated[str, typer.Option("--id", metavar="ID", help="The same event again does nothing.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Send an event and show what its handlers did."""
    body: JsonObject = {"name": name}
    if id:
        body["id"] = id
    if data:
        body["data"] = read_input(data, "--data")
    with open_client(url) as client:
        answer = client.post("/events", body)
    if as_json:
        print_json(answer)
        return
    event = read(EventView, answer)
    if not event.is_new:
        complain("The event was known; this is what it did then.")
    rows = ((one.handler, one.status, one.run_id or one.reason or "") for one in event.results)
    print_table(_COLUMNS, rows, "No handler is concerned.")
