"""What the benchmark's nodes run where they are users' functions."""

from __future__ import annotations

from headrace import worker_task


@worker_task("passOn")
async def pass_on(task_input: object) -> object:
    """Returns what it is given."""
    return task_input
