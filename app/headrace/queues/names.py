"""The queues, and the functions that workers run, by name."""

from __future__ import annotations

from headrace.graph.settings import Priority

TASKS = "workflow-tasks"
"""The queue of tasks of NORMAL priority: nearly all."""

DEPENDENCIES = "workflow-dependencies"

_BY_PRIORITY = {
    Priority.CRITICAL: f"{TASKS}-critical",
    Priority.HIGH: f"{TASKS}-high",
    Priority.NORMAL: TASKS,
    Priority.LOW: f"{TASKS}-low",
}

TASK_QUEUES = tuple(_BY_PRIORITY.values())
"""In the order in which workers empty them."""

QUEUES = (*TASK_QUEUES, DEPENDENCIES)

RUN_TASK = "headrace_worker.jobs.run_task"
"""`run_task(task_id: str, attempt: int, delivery: int)` on the queues TASK_QUEUES."""

RELEASE = "headrace_worker.jobs.release"
"""`release(task_ids: list[str])` on the queue DEPENDENCIES."""


def task_queue(priority: int) -> str:
    """Where the jobs of tasks of this priority stand. A number between two priorities counts as the lower."""
    return next((name for level, name in _BY_PRIORITY.items() if priority >= level), TASK_QUEUES[-1])
