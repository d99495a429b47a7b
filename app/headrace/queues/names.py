"""The queues, and the functions that workers run, by name."""

from __future__ import annotations

from headrace.graph.queue_names import TASK_QUEUES, TASKS, project_of, task_queue, task_queues

__all__ = [
    "DEPENDENCIES",
    "QUEUES",
    "RELEASE",
    "RUN_TASK",
    "TASKS",
    "TASK_QUEUES",
    "project_of",
    "task_queue",
    "task_queues",
]

DEPENDENCIES = "workflow-dependencies"

QUEUES = (*TASK_QUEUES, DEPENDENCIES)
"""Those that are always there; another project's are there once a task of it was queued."""

RUN_TASK = "headrace_worker.jobs.run_task"
"""`run_task(task_id: str, attempt: int, delivery: int)` on the queues of tasks."""

RELEASE = "headrace_worker.jobs.release"
"""`release(task_ids: list[str])` on the queue DEPENDENCIES."""
