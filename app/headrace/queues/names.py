"""The queues, and the functions that workers run, by name."""

from __future__ import annotations

from headrace.graph.queue_names import TASK_QUEUES, TASKS, task_queue

__all__ = ["DEPENDENCIES", "QUEUES", "RELEASE", "RUN_TASK", "TASKS", "TASK_QUEUES", "task_queue"]

DEPENDENCIES = "workflow-dependencies"

QUEUES = (*TASK_QUEUES, DEPENDENCIES)

RUN_TASK = "headrace_worker.jobs.run_task"
"""`run_task(task_id: str, attempt: int, delivery: int)` on the queues TASK_QUEUES."""

RELEASE = "headrace_worker.jobs.release"
"""`release(task_ids: list[str])` on the queue DEPENDENCIES."""
