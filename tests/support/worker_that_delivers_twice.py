"""A worker process whose every job is delivered twice: a second RQ job with the same task in it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from redis.client import Pipeline
from rq.job import Job

from headrace.queues import broker
from headrace_worker.main import run

_enqueue = broker._enqueue


def _enqueue_twice(pipeline: Pipeline, jobs: Sequence[Job]) -> None:
    _enqueue(pipeline, [*jobs, *map(_copy, jobs)])


def _copy(job: Job) -> Job:
    copy = Job.create(
        job.func_name,
        args=job.args,
        id=uuid4().hex,
        origin=job.origin,
        timeout=job.timeout,
        result_ttl=job.result_ttl,
        connection=job.connection,
        serializer=job.serializer,
        status=job.get_status(refresh=False),
    )
    copy.enqueued_at = job.enqueued_at
    return copy


broker._enqueue = _enqueue_twice
run()
