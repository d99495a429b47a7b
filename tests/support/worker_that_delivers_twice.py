"""A worker process whose every job is delivered twice: a second RQ job with the same task in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from redis.client import Pipeline

from headrace.queues import broker
from headrace.queues.records import JobRecord
from headrace_worker.main import run

_enqueue = broker._enqueue


def _enqueue_twice(pipeline: Pipeline, jobs: Sequence[JobRecord]) -> None:
    _enqueue(pipeline, [*jobs, *(replace(job, id=uuid4().hex) for job in jobs)])


broker._enqueue = _enqueue_twice
run()
