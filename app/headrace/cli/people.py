"""`headrace approval`, `headrace runs signal` and `signals`: what waits for people, and what it is told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.documents import read_input
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table, show_time, tell
from headrace.cli.runs import RunId, run_path
from headrace.graph.json_types import JsonObject, JsonValue

app = typer.Typer(help="Decide and answer what runs wait for.", no_args_is_help=True)

_SIGNAL_COLUMNS = ("sent", "name", "id", "status", "")
_COLUMNS = ("task", "node", "asks", "answers", "since", "until")

TaskId = Annotated[
    str, typer.Argument(metavar="TASK", help="A task's id, as `headrace approval list` shows.")
]
Data = Annotated[str, typer.Option(metavar="JSON|@FILE", help="What the approval's form asks for.")]
By = Annotated[str, typer.Option(metavar="NAME", help="Who decides.")]
Id = Annotated[str, typer.Option("--id", metavar="ID", help="The same id a second time does nothing.")]
Payload = Annotated[str, typer.Option(metavar="JSON|@FILE", help="What the signal carries.")]
Node = Annotated[str, typer.Option(metavar="NODE", help="Only for this node; else for whichever waits.")]


class _Line(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")

    task_id: str
    node_id: str
    since: datetime
    until: datetime | None = None
    message: str = ""
    question: str = ""
    options: list[str] = []
    answer_type: str = ""
    type: str | None = None

    def cells(self) -> tuple[str, ...]:
        answers = ", ".join(self.options) or f"{self.answer_type} {self.type or ''}".strip()
        until = show_time(self.until) if self.until else ""
        asks = self.message or self.question
        return (self.task_id, self.node_id, asks, answers, show_time(self.since), until)


class _Lines(BaseModel):
    items: list[_Line]


class _Signal(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")

    id: str
    name: str
    status: str
    node: str | None = None
    taken_by: str | None = None
    reason: str | None = None
    sent_at: datetime

    def cells(self) -> tuple[str, ...]:
        became = {"consumed": f"by {self.taken_by}", "refused": self.reason or ""}
        kept = f"for {self.node}" if self.node else ""
        return (show_time(self.sent_at), self.name, self.id, self.status, became.get(self.status, kept))


class _Signals(BaseModel):
    items: list[_Signal]


@app.command("list")
def list_(
    run: Annotated[str, typer.Option(metavar="RUN", help="Only of this run.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List approvals and questions that wait for people, over all runs."""
    query = {"runId": run} if run else {}
    with open_client(url) as client:
        approvals, questions = client.get("/approvals", query), client.get("/questions", query)
    if as_json:
        print_json({"approvals": _items(approvals), "questions": _items(questions)})
        return
    lines = [*read(_Lines, approvals).items, *read(_Lines, questions).items]
    print_table(_COLUMNS, (line.cells() for line in lines), "Nothing waits for people.")


@app.command()
def approve(task: TaskId, data: Data = "", by: By = "", url: Url = "", as_json: AsJson = False) -> None:
    """Decide for the option `approve`."""
    decide(task, "approve", data, by, url, as_json)


@app.command()
def reject(task: TaskId, data: Data = "", by: By = "", url: Url = "", as_json: AsJson = False) -> None:
    """Decide for the option `reject`."""
    decide(task, "reject", data, by, url, as_json)


@app.command()
def decide(
    task: TaskId,
    option: Annotated[str, typer.Argument(metavar="OPTION", help="One of the approval's options.")],
    data: Data = "",
    by: By = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Decide for any option. The first decision counts."""
    body = _body(by, decision=option) | ({"data": read_input(data)} if data else {})
    _post(f"/approvals/{task}", body, url, as_json, f"Decided: {option}")


@app.command()
def answer(
    task: TaskId,
    text: Annotated[str, typer.Argument(metavar="ANSWER", help="The answer.")],
    type: Annotated[str, typer.Option(metavar="TYPE", help="The question's type.")] = "",
    parse: Annotated[bool, typer.Option("--parse", help="ANSWER is JSON, or @FILE.")] = False,
    by: By = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Answer a question."""
    body = _body(by, answer=read_input(text) if parse else text) | ({"type": type} if type else {})
    _post(f"/questions/{task}", body, url, as_json, "Answered")


def signal(
    run: RunId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    payload: Payload = "",
    id: Id = "",
    node: Node = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Send a run a signal; one that comes early waits for the node that wants it."""
    body: JsonObject = {"payload": read_input(payload)} if payload else {}
    body |= {key: value for key, value in (("id", id), ("node", node)) if value}
    _post(f"{run_path(run)}/signals/{quote(name, safe='')}", body, url, as_json, f"Sent {name} to {run}")


def signals(
    run: RunId,
    children: Annotated[bool, typer.Option("--children", help="Also those of the runs below it.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, oldest first.")] = 100,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """List what a run was sent: buffered until a node wants it, consumed, or refused."""
    query = {"limit": limit} | ({"children": "true"} if children else {})
    with open_client(url) as client:
        answer = client.get(f"{run_path(run)}/signals", query)
    if as_json:
        print_json(answer)
    else:
        found = read(_Signals, answer).items
        print_table(_SIGNAL_COLUMNS, (one.cells() for one in found), "The run was sent no signals.")


def _items(answer: JsonValue) -> JsonValue:
    return answer.get("items") if isinstance(answer, dict) else answer


def _body(by: str, **given: JsonValue) -> JsonObject:
    return given | ({"by": by} if by else {})


def _post(path: str, body: JsonObject, url: str, as_json: bool, said: str) -> None:
    with open_client(url) as client:
        answer = client.post(path, body)
    tell(answer, as_json, said)
