"""`headrace demo`: the seven samples, run through two workers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from headrace import config, log, samples
from headrace.cli import lookup
from headrace.cli.answers import RunView
from headrace.cli.api_functions import loader
from headrace.cli.client import Client
from headrace.cli.errors import Exit
from headrace.cli.output import print_table, say, show_span
from headrace.cli.run import start
from headrace.cli.texts import blanks
from headrace.cli.watch import wait
from headrace.config import Settings
from headrace.graph.definition import parse
from headrace.local.stack import read_running
from headrace.local.up import StackWish, running_stack
from headrace.samples import Sample

_WORKERS = 2
_TEXTS_SHOWN = 3
_COLUMNS = ("workflow", "node", "status", "time")


@dataclass(frozen=True, slots=True)
class Played:
    """A sample that was run. faults: what is not as it should be."""

    name: str
    run: RunView
    faults: Sequence[str]


def demo(
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for all runs together.")] = 120,
) -> None:
    """Run the seven samples through two workers, and show what came of them.

    The stack is started for it, unless one runs on the data folder. Exit code 0 says that all runs succeeded
    and that no text has a blank where a value belongs.
    """
    begun = time.monotonic()
    with _some_api(config.load()) as client:
        ready = time.monotonic()
        played = play(client, samples.load_samples(), ready + timeout)
        ended = time.monotonic()
    _print(played)
    good = sum(not one.faults for one in played)
    say(f"\n{good} of {len(played)} workflows succeeded, with full texts, in {ended - ready:.1f} s")
    say(f"(before that, the stack took {ready - begun:.1f} s to start)")
    if good < len(played):
        raise typer.Exit(Exit.FAILED)


def play(client: Client, shown: Sequence[Sample], deadline: float) -> list[Played]:
    """Runs all samples at once and waits for them; those that the API does not have are saved first.

    deadline: on time.monotonic(). Raises TookTooLong after it.
    """
    ids = [_id_of(client, sample) for sample in shown]
    runs = [
        start(client, one, {"input": sample.example_input}) for one, sample in zip(ids, shown, strict=True)
    ]
    ended = [wait(client, run_id, deadline) for run_id in runs]
    return [Played(sample.name, run, _faults(client, run)) for sample, run in zip(shown, ended, strict=True)]


def _id_of(client: Client, sample: Sample) -> str:
    ids = lookup.ids_by_name(client, sample.name)
    return ids[0] if ids else lookup.create(client, sample.definition)


def _faults(client: Client, run: RunView) -> list[str]:
    if run.status != "succeeded":
        return [f"{run.status}: {run.reason or 'no reason given'}"]
    definition = parse(client.get(f"/workflows/{run.workflow_id}"))
    templates = {node.id: str(node.config.get("template", "")) for node in definition.nodes}
    texts = run.texts()
    found = [
        f"{text.node_id}: nothing stands for {{{{{name}}}}}"
        for text in texts
        for name in blanks(templates[text.node_id or ""], text.message)
    ]
    return found if texts else ["it wrote no text"]


@contextmanager
def _some_api(settings: Settings) -> Iterator[Client]:
    """The API of the stack that runs here, else of one that runs for as long as the block."""
    running = read_running(settings.data_dir)
    if running and running.api_url:
        with Client(running.api_url, _key(settings)) as client:
            yield client
        return
    # On a port of its own and on its own servers: it meets nothing that runs on this machine.
    private = settings.model_copy(update={"host": "127.0.0.1", "port": 0, "log_level": "WARNING"})
    log.configure(private.log_level, private.log_json)
    say("Starting PostgreSQL, Redis, the API and two workers ...")
    wish = StackWish(private, _WORKERS, loader(private), embedded=True)
    with running_stack(wish) as stack, Client(stack.url, _key(settings)) as client:
        yield client


def _key(settings: Settings) -> str:
    """The key to send: HEADRACE_API_KEY, else an administrator's of those that the API will ask for."""
    pairs = [pair.strip().partition(":") for pair in settings.api_keys.split(",")]
    return settings.api_key or next((key for role, _, key in pairs if role.lower() == "admin"), "")


def _print(played: Sequence[Played]) -> None:
    print_table(_COLUMNS, _rows(played), "There are no samples.")
    texts = [text for one in played for text in one.run.texts()]
    for text in texts[:_TEXTS_SHOWN]:
        say(f"\n{text.message}")
    for one in played:
        for fault in one.faults:
            say(f"\n{one.name}: {fault}")


def _rows(played: Sequence[Played]) -> Iterator[tuple[str, str, str, str]]:
    for one in played:
        yield one.name, "", one.run.status, show_span(one.run.started_at, one.run.finished_at)
        for task in one.run.tasks:
            yield "", task.node_id, task.status, show_span(task.started_at, task.completed_at)
