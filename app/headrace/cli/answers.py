"""What the API answers, as far as the command line reads it."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from headrace.errors import HeadraceError
from headrace.graph.json_types import JsonValue
from headrace.graph.project import DEFAULT_PROJECT

T = TypeVar("T")


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class WorkflowLine(_Answer):
    """A workflow in a list. version: the current one; updated_at: milliseconds."""

    id: str
    name: str
    project: str = DEFAULT_PROJECT
    version: int | None = None
    updated_at: float


class Told(_Answer):
    """Something to know about a saved definition."""

    path: str
    message: str
    hint: str = ""


class Saved(_Answer):
    """A workflow that was just saved. notes: of an import."""

    id: str
    notes: list[Told] = []
    warnings: list[Told] = []


class Started(_Answer):
    """A run that has begun."""

    run_id: str


class Task(_Answer):
    """A node of a run."""

    node_id: str
    node_type: str = ""
    status: str
    attempt: int = 1
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    reason: str | None = None


class LogEntry(_Answer):
    """A line of a run's log."""

    type: str
    message: str
    timestamp: datetime
    node_id: str | None = None
    kind: str | None = None


class RunView(_Answer):
    """A run with its nodes and its log."""

    id: str
    workflow_id: str
    status: str
    reason: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
    tasks: list[Task] = []
    logs: list[LogEntry] = []
    outputs: JsonValue = None

    def texts(self) -> list[LogEntry]:
        """What its notification nodes wrote."""
        return [line for line in self.logs if line.kind == "notification"]


class TaskWhy(_Answer):
    """Why a node does not run."""

    node_id: str
    status: str
    text: str


class ExplanationView(_Answer):
    """Why a run does not go on, and its nodes that do not run. text: '' of a run that has ended."""

    run_id: str
    status: str
    text: str
    tasks: list[TaskWhy]

    def says(self) -> str:
        """`(running) waits for node a`."""
        return f"({self.status}) {self.text or 'has ended'}"


class ProjectLine(_Answer):
    """A project. workers: that take its jobs; own_workers: those that serve it by name."""

    name: str
    workflows: int
    active_runs: int
    workers: int
    own_workers: int


class ProjectList(_Answer):
    """Projects, by name."""

    items: list[ProjectLine]


class SecretLine(_Answer):
    """The name of a secret."""

    name: str
    updated_at: datetime


class SecretList(_Answer):
    """Secrets of a project, by name."""

    items: list[SecretLine]


class RunLine(_Answer):
    """A run in a list."""

    id: str
    workflow_id: str
    status: str
    reason: str | None = None
    started_at: datetime
    finished_at: datetime | None = None


class RunList(_Answer):
    """Runs, newest first."""

    items: list[RunLine]


class Event(_Answer):
    """One line of a run's history. type: as `task.completed`, or `log`."""

    type: str
    node_id: str | None = None
    message: str | None = None
    data: JsonValue = None
    at: datetime


class WorkerLine(_Answer):
    """A worker process."""

    name: str
    pid: int
    host: str
    state: str
    healthy: bool = True
    projects: list[str] = [DEFAULT_PROJECT]
    running: int = 0
    completed: int = 0
    failed: int = 0
    started_at: datetime
    last_heartbeat: datetime


class WorkerList(_Answer):
    """All worker processes."""

    items: list[WorkerLine]

    def running(self) -> list[WorkerLine]:
        return [worker for worker in self.items if worker.state == "running" and worker.healthy]


class QueueLine(_Answer):
    """How many jobs of a queue stand where."""

    name: str
    queued: int
    started: int = 0
    finished: int = 0
    failed: int = 0


class QueueList(_Answer):
    """The queues."""

    items: list[QueueLine]


def read(model: type[T], answer: JsonValue) -> T:
    """Raises HeadraceError when the answer is none of a Headrace API."""
    try:
        return TypeAdapter(model).validate_python(answer)
    except ValidationError as error:
        raise HeadraceError(f"the API answered something unexpected: {error}") from error
