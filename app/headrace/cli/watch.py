"""Showing a run while it goes on: a live table in a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from rich.live import Live
from rich.table import Table

from headrace.cli.answers import Event, RunView, Task, read
from headrace.cli.client import Client
from headrace.cli.errors import Exit
from headrace.cli.follow import follow
from headrace.cli.output import console, make_table, say, show_span

_COLUMNS = ("node", "status", "attempt", "time")
_EXITS = {"succeeded": Exit.OK, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}


@dataclass(slots=True)
class NodeLine:
    """A node as the table shows it."""

    status: str = "pending"
    attempt: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def apply(self, status: str, event: Event) -> None:
        """Takes over what an event says."""
        data = event.data if isinstance(event.data, dict) else {}
        attempt = data.get("attempt")
        self.status = status
        self.attempt = attempt if isinstance(attempt, int) else self.attempt
        if status == "running":
            self.started_at, self.ended_at = event.at, None
        elif status not in ("queued", "pending", "waiting"):
            self.ended_at = event.at


@dataclass(slots=True)
class Progress:
    """All nodes of a run."""

    nodes: dict[str, NodeLine] = field(default_factory=dict)

    def apply(self, event: Event) -> bool:
        """Takes over an event; False for one that changes no node."""
        kind, _, status = event.type.partition(".")
        if kind != "task" or event.node_id is None:
            return False
        self.nodes.setdefault(event.node_id, NodeLine()).apply(status, event)
        return True

    def table(self) -> Table:
        return make_table(_COLUMNS, (_row(name, line) for name, line in self.nodes.items()))


def watch(client: Client, run_id: str, deadline: float) -> RunView:
    """Shows the run until its end and returns it. Raises TookTooLong, Unreachable."""
    run = get_run(client, run_id)
    progress = Progress({task.node_id: NodeLine() for task in run.tasks})
    screen = console()
    if screen.is_terminal:
        live = Live(progress.table(), console=screen, refresh_per_second=10)
        _show(follow(client, run_id, deadline), progress, live, lambda _: live.update(progress.table()))
    else:
        _show(follow(client, run_id, deadline), progress, nullcontext(), _line_after(run.started_at))
    return get_run(client, run_id)


def wait(client: Client, run_id: str, deadline: float) -> RunView:
    """Waits for the run's end in silence and returns it. Raises TookTooLong, Unreachable."""
    for _ in follow(client, run_id, deadline):
        pass
    return get_run(client, run_id)


def _show(
    events: Iterable[Event],
    progress: Progress,
    frame: AbstractContextManager[object],
    show: Callable[[Event], None],
) -> None:
    with frame:
        for event in events:
            if progress.apply(event):
                show(event)


def _line_after(start: datetime) -> Callable[[Event], None]:
    def print_line(event: Event) -> None:
        status = event.type.partition(".")[2]
        say(f"{(event.at - start).total_seconds():+9.3f} s  {status:<16} {event.node_id}")

    return print_line


def get_run(client: Client, run_id: str) -> RunView:
    """Raises NotFound."""
    return read(RunView, client.get(f"/runs/{run_id}"))


def task_table(tasks: Iterable[Task]) -> Table:
    """A run's nodes with their status and time."""
    return make_table(_COLUMNS, (_row(task.node_id, _line_of(task)) for task in tasks))


def print_end(run: RunView) -> None:
    """How a run ended, what failed in it, and what its notifications said."""
    for task in run.tasks:
        if task.error:
            say(f"{task.node_id}: {task.error}")
    for text in run.texts():
        say(f"\n{text.message}")
    reason = f": {run.reason}" if run.reason else ""
    say(f"\nRun {run.id} {run.status} in {show_span(run.started_at, run.finished_at)}{reason}")


def exit_of(run: RunView) -> Exit:
    """The exit code that a run's status is."""
    return _EXITS.get(run.status, Exit.FAILED)


def _line_of(task: Task) -> NodeLine:
    return NodeLine(task.status, task.attempt, task.started_at, task.completed_at)


def _row(name: str, line: NodeLine) -> tuple[str, str, str, str]:
    return (name, line.status, str(line.attempt or ""), show_span(line.started_at, line.ended_at))
