"""The names of the queues in which tasks wait for a worker."""

from __future__ import annotations

from headrace.graph.settings import Priority

TASKS = "workflow-tasks"
"""The queue of tasks of NORMAL priority: nearly all."""

_BY_PRIORITY = {
    Priority.CRITICAL: f"{TASKS}-critical",
    Priority.HIGH: f"{TASKS}-high",
    Priority.NORMAL: TASKS,
    Priority.LOW: f"{TASKS}-low",
}

TASK_QUEUES = tuple(_BY_PRIORITY.values())
"""In the order in which workers empty them."""


def task_queue(priority: int) -> str:
    """Where the jobs of tasks of this priority stand. A number between two priorities counts as the lower."""
    return next((name for level, name in _BY_PRIORITY.items() if priority >= level), TASK_QUEUES[-1])


def emptied_before(queue: str) -> tuple[str, ...]:
    """The queues that workers empty before this one."""
    return TASK_QUEUES[: TASK_QUEUES.index(queue)] if queue in TASK_QUEUES else ()
