"""The names of the queues in which tasks wait for a worker."""

from __future__ import annotations

from typing import Final

from headrace.graph.project import DEFAULT_PROJECT, is_project
from headrace.graph.settings import Priority

TASKS: Final = "workflow-tasks"
"""The queue of tasks of NORMAL priority of the default project: nearly all."""

_OF_PROJECT: Final = "--"
"""Before the project in a queue's name. No name before it has it, so the first one divides."""

_BY_PRIORITY = {
    Priority.CRITICAL: f"{TASKS}-critical",
    Priority.HIGH: f"{TASKS}-high",
    Priority.NORMAL: TASKS,
    Priority.LOW: f"{TASKS}-low",
}

TASK_QUEUES = tuple(_BY_PRIORITY.values())
"""Those of the default project, in the order in which workers empty them."""


def task_queue(priority: int, project: str = DEFAULT_PROJECT) -> str:
    """Where the jobs of tasks of this priority stand. A number between two priorities counts as the lower."""
    name = next((name for level, name in _BY_PRIORITY.items() if priority >= level), TASK_QUEUES[-1])
    return _of(name, project)


def task_queues(project: str) -> tuple[str, ...]:
    """The queues of a project, in the order in which workers empty them."""
    return tuple(_of(name, project) for name in TASK_QUEUES)


def project_of(queue: str) -> str | None:
    """Whose tasks wait there; None if it is no queue of tasks."""
    name, divider, project = queue.partition(_OF_PROJECT)
    if name not in TASK_QUEUES:
        return None
    if not divider:
        return DEFAULT_PROJECT
    return project if is_project(project) and project != DEFAULT_PROJECT else None


def emptied_before(queue: str) -> tuple[str, ...]:
    """The queues of the same project that workers empty before this one."""
    project = project_of(queue)
    if project is None:
        return ()
    queues = task_queues(project)
    return queues[: queues.index(queue)]


def _of(name: str, project: str) -> str:
    return name if project == DEFAULT_PROJECT else f"{name}{_OF_PROJECT}{project}"
