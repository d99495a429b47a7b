"""`headrace schedule`: runs that begin by the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli import lookup
from headrace.cli.answers import read
from headrace.cli.client import Client, open_client
from headrace.cli.documents import read_input
from headrace.cli.options import AsJson, OfProject, OfWorkflow, Url
from headrace.cli.output import print_json, print_table, show_time, tell
from headrace.graph.json_types import JsonObject
from headrace.graph.overlap import Overlap

app = typer.Typer(help="Start runs by the clock.", no_args_is_help=True)

_COLUMNS = ("id", "name", "workflow", "cron", "zone", "overlap", "next")
_MOST = 1000

Name = Annotated[str, typer.Argument(metavar="ID|NAME", help="A schedule's id or exact name.")]
Policy = Annotated[
    Overlap | None,
    typer.Option("--overlap", help="What becomes of a slot while an earlier run goes on."),
]
Moment = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ScheduleLine(_Answer):
    """A schedule in a list."""

    id: str
    workflow_id: str
    name: str
    cron: str
    time_zone: str
    overlap: str
    is_paused: bool
    next_slot: datetime | None

    def next(self) -> str:
        if self.is_paused:
            return "paused"
        return "never" if self.next_slot is None else show_time(self.next_slot)


class ScheduleList(_Answer):
    """Schedules, newest first."""

    items: list[ScheduleLine]


class SlotLine(_Answer):
    """A slot and what came of it."""

    slot: datetime
    origin: str
    state: str
    run_id: str | None = None
    reason: str | None = None


class SlotList(_Answer):
    """Slots, newest first."""

    items: list[SlotLine]


class Added(_Answer):
    """What a backfill did."""

    added: int


class Times(_Answer):
    """When a schedule comes next."""

    times: list[datetime]


@app.command("list")
def list_(
    workflow: OfWorkflow = "",
    project: OfProject = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List schedules, newest first."""
    with open_client(url) as client:
        query: dict[str, str | int] = {"limit": _MOST}
        if workflow:
            query["workflowId"] = lookup.workflow_id(client, workflow)
        if project:
            query["project"] = project
        answer = client.get("/schedules", query)
        names = {} if as_json else lookup.workflow_names(client)
    if as_json:
        print_json(answer)
        return
    rows = (
        (
            one.id,
            one.name,
            names.get(one.workflow_id, one.workflow_id),
            one.cron,
            one.time_zone,
            one.overlap,
            one.next(),
        )
        for one in read(ScheduleList, answer).items
    )
    print_table(_COLUMNS, rows, "No schedules yet.")


@app.command()
def create(
    workflow: Annotated[str, typer.Argument(metavar="ID|NAME", help="The workflow to start.")],
    cron: Annotated[str, typer.Argument(help="minute hour day month weekday, or @daily and such.")],
    name: Annotated[str, typer.Option(help="What to call it.")] = "",
    time_zone: Annotated[str, typer.Option(help="The zone whose clock counts.")] = "UTC",
    run_input: Annotated[str, typer.Option("--input", metavar="JSON|@FILE", help="For each run.")] = "{}",
    overlap: Policy = Overlap.SKIP,
    jitter: Annotated[float, typer.Option(help="Seconds over which slots are spread.")] = 0,
    catch_up: Annotated[float, typer.Option(help="Seconds for which a slot is made up for.")] = 86_400,
    paused: Annotated[bool, typer.Option("--paused", help="Do not begin yet.")] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Add a schedule and print its id."""
    body: JsonObject = {
        "name": name,
        "cron": cron,
        "timeZone": time_zone,
        "input": read_input(run_input),
        "overlap": overlap,
        "jitter": jitter,
        "catchUp": catch_up,
        "isPaused": paused,
    }
    with open_client(url) as client:
        answer = client.post("/schedules", {"workflowId": lookup.workflow_id(client, workflow), **body})
    tell(answer, as_json, read(ScheduleLine, answer).id)


@app.command()
def pause(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Stop a schedule until it is resumed; what comes meanwhile is not made up for."""
    _act(name, "pause", url, as_json)


@app.command()
def resume(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Let a schedule go on with its next slot."""
    _act(name, "resume", url, as_json)


@app.command()
def trigger(name: Name, overlap: Policy = None, url: Url = "", as_json: AsJson = False) -> None:
    """Start a run of a schedule now, also while it is paused."""
    with open_client(url) as client:
        body: JsonObject = {"overlap": overlap}
        answer = client.post(f"/schedules/{_id(client, name)}/trigger", body)
    slot = read(SlotLine, answer)
    tell(answer, as_json, slot.run_id or f"{slot.state}: {slot.reason or 'it waits for an earlier run'}")


@app.command()
def backfill(
    name: Name,
    first: Moment,
    end: Moment,
    overlap: Policy = Overlap.BUFFER_ALL,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Add the slots from FIRST on and before END (UTC) that have started no run."""
    body: JsonObject = {"from": _utc(first), "to": _utc(end), "overlap": overlap}
    with open_client(url) as client:
        answer = client.post(f"/schedules/{_id(client, name)}/backfill", body)
    tell(answer, as_json, f"Added {read(Added, answer).added} slots")


@app.command()
def delete(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """Delete a schedule; the runs that it has started go on."""
    with open_client(url) as client:
        found = _id(client, name)
        client.delete(f"/schedules/{found}")
    tell({"id": found, "deleted": True}, as_json, f"Deleted {found}")


@app.command("next")
def next_(
    name: Name,
    count: Annotated[int, typer.Option(min=1, max=_MOST, help="How many.")] = 10,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Show when a schedule comes next, by the clock of its zone."""
    with open_client(url) as client:
        answer = client.get(f"/schedules/{_id(client, name)}/next", {"count": count})
    times = [moment.isoformat(sep=" ") for moment in read(Times, answer).times]
    tell(answer, as_json, "\n".join(times) or "never")


@app.command()
def slots(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="How many at most.")] = 20,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Show what came of a schedule's slots, newest first."""
    with open_client(url) as client:
        answer = client.get(f"/schedules/{_id(client, name)}/slots", {"limit": limit})
    if as_json:
        print_json(answer)
        return
    rows = (
        (show_time(one.slot), one.origin, one.state, one.run_id or one.reason or "")
        for one in read(SlotList, answer).items
    )
    print_table(("slot", "origin", "state", "run or reason"), rows, "No slots yet.")


def _act(name: str, what: str, url: str, as_json: bool) -> None:
    with open_client(url) as client:
        answer = client.post(f"/schedules/{_id(client, name)}/{what}")
    tell(answer, as_json, f"Next: {read(ScheduleLine, answer).next()}")


def _id(client: Client, name: str) -> str:
    """The id that `name` is, or that of the one schedule with this name."""
    if lookup.is_id(name):
        return name
    found = read(ScheduleList, client.get("/schedules", {"limit": _MOST})).items
    return lookup.id_of("schedule", name, [one.id for one in found if one.name == name])


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).isoformat()
