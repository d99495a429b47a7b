"""The Celery application: a task that says when it ran and what it was given."""
# mypy: disable-error-code="import-not-found, import-untyped, misc, untyped-decorator"

from __future__ import annotations

import os
import time

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=600,
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
)


@app.task(name="node")
def node(given: list[list[object]] | list[object] | None, run: int, number: int) -> list[object]:
    """given: what the parents returned: one result, or a list of them. Returns span and parents' numbers."""
    start = time.monotonic()
    results = given if given and isinstance(given[0], list) else [given] if given else []
    parents = [one[1] for one in results if isinstance(one, list)]
    return [run, number, start, time.monotonic(), parents]


@app.task(name="gather")
def gather(given: list[list[object]]) -> list[list[object]]:
    """Between two groups: a group's results go to all tasks of the next one only through a single task."""
    return given
