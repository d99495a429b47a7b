"""Bare RQ: jobs, with `depends_on` where there are edges."""

from __future__ import annotations

import base64
import json
import os
from uuid import uuid4

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from benchmarks.peers.scripts.protocol import Span, parents, serve
from benchmarks.peers.scripts.rq_node import node

RESULT_TTL = 300
_BATCH = 500


class RqDriver:
    """One queue; an edge is an entry of `depends_on`."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._queue = Queue("bench", connection=self._redis, serializer=JSONSerializer)
        self._ids: list[str] = []
        self._mark = ""

    def submit(self, widths: list[int], runs: int) -> None:
        self._redis.delete(FinishedJobRegistry(queue=self._queue).key)
        self._mark = uuid4().hex[:8]
        self._ids = [self._id(run, number) for run in range(runs) for number in range(sum(widths))]
        if len(widths) == 1:
            self._submit_jobs(widths[0], runs)
            return
        for run in range(runs):
            self._submit_graph(widths, run)

    def _submit_jobs(self, width: int, runs: int) -> None:
        calls = [(run, number) for run in range(runs) for number in range(width)]
        jobs = [
            Queue.prepare_data(node, args=call, result_ttl=RESULT_TTL, job_id=self._id(*call))
            for call in calls
        ]
        for start in range(0, len(jobs), _BATCH):
            self._queue.enqueue_many(jobs[start : start + _BATCH])

    def _submit_graph(self, widths: list[int], run: int) -> None:
        above = parents(widths)
        made: list[Job] = []
        for number in range(sum(widths)):
            needs = [made[parent] for parent in above.get(number, ())]
            made.append(
                self._queue.enqueue(
                    node,
                    run,
                    number,
                    depends_on=needs or None,
                    result_ttl=RESULT_TTL,
                    job_id=self._id(run, number),
                )
            )

    def _id(self, run: int, number: int) -> str:
        return f"{self._mark}-{run}-{number}"

    def spans(self) -> list[Span] | None:
        if self._redis.zcard(FinishedJobRegistry(queue=self._queue).key) < len(self._ids):
            return None
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in self._ids:
                pipeline.xrange(f"rq:results:{job_id}")
            results = pipeline.execute()
        return [_span(entry) for entries in results for _, entry in entries]


def _span(entry: dict[bytes, bytes]) -> Span:
    run, number, start, end = json.loads(base64.b64decode(entry[b"return_value"]))
    return int(run), int(number), start, end


if __name__ == "__main__":
    serve(RqDriver(os.environ["BENCH_REDIS"]))
