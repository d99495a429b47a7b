"""`headrace stats`: what ran, how often, how long, how well."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table
from headrace.errors import InvalidInput

_COLUMNS = (
    "project",
    "name",
    "count",
    "success",
    "failure",
    "retries",
    "average",
    "p50",
    "p95",
    "p99",
    "queue p95",
    "own workers",
)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class _Durations(_Answer):
    average_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class _Line(_Answer):
    project: str
    name: str
    count: int
    success: int
    failure: int
    retries: int
    execution: _Durations
    queue_wait: _Durations
    own_workers: list[str]

    def row(self) -> tuple[str, ...]:
        took = self.execution
        counts = (self.count, self.success, self.failure, self.retries)
        spans = (took.average_ms, took.p50_ms, took.p95_ms, took.p99_ms, self.queue_wait.p95_ms)
        return (self.project, self.name, *map(str, counts), *map(_span, spans), ", ".join(self.own_workers))


class _Lines(_Answer):
    items: list[_Line]


def stats(
    since: Annotated[str, typer.Option(help="A time in ISO 8601, or an age: 90m, 24h, 7d.")] = "24h",
    project: Annotated[str, typer.Option(help="Only this project.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Show how often each node type and activity ran, how it ended, and how long it took.

    `own workers` says why something should get workers of its own: it keeps workers busy most of the time,
    is much slower than the rest, or its processes die.
    """
    query = {"since": beginning(since, datetime.now(UTC)).isoformat()}
    with open_client(url) as client:
        answer = client.get("/stats", query | ({"project": project} if project else {}))
    if as_json:
        print_json(answer)
        return
    print_table(_COLUMNS, (one.row() for one in read(_Lines, answer).items), "Nothing ran in this time.")


def beginning(text: str, now: datetime) -> datetime:
    """The moment that a text names: `24h` ago, or a time, local without a zone. Raises InvalidInput."""
    if age := re.fullmatch(r"(\d{1,5})([mhd])", text.strip()):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"'{text}' is neither an age such as 24h nor a time in ISO 8601") from error


def _span(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"
