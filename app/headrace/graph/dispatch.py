"""What must be delivered after a commit. The engine returns these; a door pushes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from headrace.graph.ids import TaskId
from headrace.graph.project import DEFAULT_PROJECT


@dataclass(frozen=True, slots=True)
class RunTask:
    """A queued task, for the queue of its project and priority. timeout: seconds that one attempt may take.

    priority: of the task, see `headrace.graph.settings.Priority`.
    """

    task: TaskId
    attempt: int
    delivery: int
    node_id: str
    timeout: float
    priority: int = 5
    project: str = DEFAULT_PROJECT

    @property
    def job_id(self) -> str:
        """Never used twice: `delivery` only rises."""
        return f"{self.task}-{self.attempt}-{self.delivery}"


@dataclass(frozen=True, slots=True)
class Release:
    """Tasks to look at, for `workflow-dependencies`.

    They ended, and their successors may be ready; or their children did, or are no longer wanted.
    """

    tasks: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Jobs whose tasks were cancelled before they ran: take them out of the queue."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Tasks that were cancelled while they ran: tell the processes that run them.

    grace: seconds in which their code may end by itself, before it is stopped.
    """

    tasks: tuple[TaskId, ...]
    grace: float = 0.0


Dispatch: TypeAlias = RunTask | Release | Withdraw | Stop
