"""`headrace runs pause`, `resume`, `retry`, `rerun` and `step`: what operators do to runs."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.answers import Started, read
from headrace.cli.client import open_client
from headrace.cli.documents import read_input
from headrace.cli.options import AsJson, Url
from headrace.cli.output import tell
from headrace.cli.runs import RunId, run_path
from headrace.graph.json_types import JsonObject

Nodes = Annotated[list[str], typer.Option("--node", metavar="NODE", help="A node's id; may be repeated.")]


def pause(run: RunId, url: Url = "", as_json: AsJson = False) -> None:
    """Pause a run: what runs finishes, and nothing follows it until the run is resumed."""
    _tell(run, "pause", url, as_json, f"Paused {run}")


def resume(run: RunId, url: Url = "", as_json: AsJson = False) -> None:
    """Let a paused run go on."""
    _tell(run, "resume", url, as_json, f"Resumed {run}")


def retry(run: RunId, url: Url = "", as_json: AsJson = False) -> None:
    """Run what failed or was cancelled again, in place; what completed stays."""
    _tell(run, "retry", url, as_json, f"Retrying {run}")


def step(run: RunId, nodes: Nodes = [], url: Url = "", as_json: AsJson = False) -> None:  # noqa: B006
    """Let what stands at breakpoints go on: these nodes, or all."""
    with open_client(url) as client:
        answer = client.post(f"{run_path(run)}/step", {"nodes": [*nodes]})
    tell(answer, as_json, f"{run} goes on")


def rerun(
    run: RunId,
    nodes: Nodes = [],  # noqa: B006
    run_input: Annotated[
        str, typer.Option("--input", metavar="JSON|@FILE", help="Instead of the run's own input.")
    ] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Start a new run of the same version; with `--node`, results of what comes before are used again."""
    body: JsonObject = {"from": [*nodes]}
    if run_input:
        body["input"] = read_input(run_input)
    with open_client(url) as client:
        answer = client.post(f"{run_path(run)}/rerun", body)
    tell(answer, as_json, f"Started {read(Started, answer).run_id}")


def _tell(run: str, what: str, url: str, as_json: bool, said: str) -> None:
    with open_client(url) as client:
        answer = client.post(f"{run_path(run)}/{what}")
    tell(answer, as_json, said)
