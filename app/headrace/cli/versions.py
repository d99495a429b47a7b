"""`headrace workflow versions|activate|diff`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace.cli import lookup
from headrace.cli.answers import read
from headrace.cli.client import open_client
from headrace.cli.options import AsJson, Url
from headrace.cli.output import print_json, print_table, say, show_time
from headrace.graph.diff import Kind
from headrace.graph.json_types import JsonValue

Name = Annotated[str, typer.Argument(metavar="ID|NAME", help="A workflow's id or exact name.")]
Number = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="A version's number.")]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class VersionLine(_Answer):
    """A version in a list."""

    version: int
    name: str
    is_current: bool
    created_at: datetime


class Change(_Answer):
    """One value that differs."""

    path: str
    kind: Kind
    before: JsonValue = None
    after: JsonValue = None


class Part(_Answer):
    """What differs among the nodes, or among the edges."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Mapping[str, Sequence[Change]]


class Diff(_Answer):
    """What one version has changed since another."""

    is_same: bool
    settings: Sequence[Change]
    nodes: Part
    edges: Part


def versions(name: Name, url: Url = "", as_json: AsJson = False) -> None:
    """List a workflow's versions, newest first."""
    with open_client(url) as client:
        answer = client.get(f"/workflows/{lookup.workflow_id(client, name)}/versions", {"limit": 1000})
    if as_json:
        print_json(answer)
        return
    rows = (
        (str(one.version), "current" if one.is_current else "", one.name, show_time(one.created_at))
        for one in read(list[VersionLine], answer)
    )
    print_table(("version", "", "name", "saved"), rows, "No versions.")


def activate(name: Name, version: Number, url: Url = "", as_json: AsJson = False) -> None:
    """Make a version the current one again; runs that are under way keep theirs."""
    with open_client(url) as client:
        found = lookup.workflow_id(client, name)
        answer = client.post(f"/workflows/{found}/versions/{version}/activate")
    if as_json:
        print_json(answer)
    else:
        say(f"Version {version} of {found} is the current one")


def diff(name: Name, before: Number, after: Number, url: Url = "", as_json: AsJson = False) -> None:
    """Show what one version has changed since another."""
    with open_client(url) as client:
        path = f"/workflows/{lookup.workflow_id(client, name)}/versions/diff"
        answer = client.get(path, {"from": before, "to": after})
    if as_json:
        print_json(answer)
        return
    found = read(Diff, answer)
    for line in _lines(found):
        say(line)
    if found.is_same:
        say("No difference.")


def _lines(found: Diff) -> Iterator[str]:
    yield from (f"~ {_change(one)}" for one in found.settings)
    for what, part in (("node", found.nodes), ("edge", found.edges)):
        yield from (f"+ {what} {name}" for name in part.added)
        yield from (f"- {what} {name}" for name in part.removed)
        for name, changes in part.changed.items():
            yield from (f"~ {what} {name}  {_change(one)}" for one in changes)


def _change(change: Change) -> str:
    match change.kind:
        case Kind.ADDED:
            return f"{change.path}: {_json(change.after)} (new)"
        case Kind.REMOVED:
            return f"{change.path}: {_json(change.before)} (gone)"
        case Kind.CHANGED:
            return f"{change.path}: {_json(change.before)} -> {_json(change.after)}"


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
