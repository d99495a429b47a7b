"""The queues, and the functions that workers run, by name."""

from __future__ import annotations

TASKS = "workflow-tasks"
DEPENDENCIES = "workflow-dependencies"

RUN_TASK = "headrace_worker.jobs.run_task"
"""`run_task(task_id: str, attempt: int, delivery: int)` on the queue TASKS."""

RELEASE = "headrace_worker.jobs.release"
"""`release(task_ids: list[str])` on the queue DEPENDENCIES."""
