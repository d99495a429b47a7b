"""Delivers what the engine returned: writes RQ's jobs, takes them back, tells processes to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar, assert_never

from redis import Redis
from redis.client import Pipeline
from rq import Queue

from headrace.graph.dispatch import Dispatch, Release, RunTask, Stop, Withdraw
from headrace.queues.connection import answering
from headrace.queues.live import FILLED, publish_stops
from headrace.queues.records import PUSH, JobRecord, push_values, record_of
from headrace.queues.scripts import Script, execute

_CHUNK = 1_000
"""Jobs a round trip: 10,000 in one pipeline would hold megabytes here and Redis' one thread there."""

# An id that a worker has claimed is in no list any more: its job is left alone. A job says in which list it
# was put. Many ids are taken out in one pass over a list, because each LREM walks it from the head.
_WITHDRAW = Script("""
local withdrawn, by_queue = {}, {}
for _, id in ipairs(ARGV) do
  local origin = redis.call('HGET', 'rq:job:' .. id, 'origin')
  if origin then
    local ids = by_queue[origin] or {}
    ids[#ids + 1], by_queue[origin] = id, ids
  end
end
for origin, ids in pairs(by_queue) do
  local queue = 'rq:queue:' .. origin
  if #ids <= 8 then
    for _, id in ipairs(ids) do
      if redis.call('LREM', queue, 1, id) == 1 then withdrawn[#withdrawn + 1] = id end
    end
  else
    local before, kept, wanted = #withdrawn, {}, {}
    for _, id in ipairs(ids) do wanted[id] = true end
    for _, id in ipairs(redis.call('LRANGE', queue, 0, -1)) do
      if wanted[id] then withdrawn[#withdrawn + 1] = id else kept[#kept + 1] = id end
    end
    if #withdrawn > before then
      redis.call('DEL', queue)
      for first = 1, #kept, 1000 do
        redis.call('RPUSH', queue, unpack(kept, first, math.min(first + 999, #kept)))
      end
    end
  end
end
for _, id in ipairs(withdrawn) do
  redis.call('UNLINK', 'rq:job:' .. id, 'rq:job:' .. id .. ':dependents', 'rq:job::' .. id .. ':dependencies')
end
return #withdrawn
""")

T = TypeVar("T")


class Broker:
    """Pushes dispatches to RQ's queues and to the processes that listen.

    Nothing is pushed exactly once: a push that failed half-way may be repeated, and the claim in the database
    decides which job counts.
    """

    def __init__(self, connection: Redis) -> None:
        self._connection = connection

    def push(self, dispatches: Sequence[Dispatch]) -> None:
        """Delivers all of it, in one round trip for each 1,000 dispatches; raises QueueUnavailable.

        After an error some jobs may be queued and others not; the sweep delivers the rest.
        """
        with answering():
            for some in _chunks(dispatches):
                self._push(some)

    async def push_async(self, dispatches: Sequence[Dispatch]) -> None:
        """`push` in a thread; raises QueueUnavailable."""
        if dispatches:
            await asyncio.to_thread(self.push, dispatches)

    def _push(self, dispatches: Sequence[Dispatch]) -> None:
        execute(self._connection, (PUSH, _WITHDRAW), partial(_fill, dispatches=dispatches))


def _fill(pipeline: Pipeline, dispatches: Sequence[Dispatch]) -> None:
    jobs = []
    for dispatch in dispatches:
        match dispatch:
            case RunTask() | Release():
                jobs.append(record_of(dispatch))
            case Withdraw():
                _WITHDRAW.add(pipeline, (), dispatch.job_ids)
            case Stop():
                publish_stops(pipeline, dispatch.tasks, dispatch.grace)
            case _:
                assert_never(dispatch)
    _enqueue(pipeline, jobs)


def _enqueue(pipeline: Pipeline, jobs: Sequence[JobRecord]) -> None:
    """What `Queue.enqueue_many` writes, in one call for all jobs of a queue."""
    by_queue: dict[str, list[JobRecord]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    for queue, its_jobs in by_queue.items():
        PUSH.add(pipeline, [_key(queue), Queue.redis_queues_keys, FILLED], push_values(queue, its_jobs))


def _key(queue: str) -> str:
    return f"{Queue.redis_queue_namespace_prefix}{queue}"


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
