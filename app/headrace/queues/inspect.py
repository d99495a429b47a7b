"""Looks at RQ's queues and workers without changing them (RQ's own `count` cleans up as it counts)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from redis import Redis
from rq import Queue
from rq.job import JobStatus
from rq.utils import as_text
from rq.worker import WorkerStatus

from headrace.graph.project import DEFAULT_PROJECT
from headrace.queues.connection import answering
from headrace.queues.names import QUEUES, project_of, task_queues
from headrace.queues.records import HEARTBEAT_TTL

_SILENT_SECONDS = 8
"""Our workers give a sign of life every three seconds or sooner: one that is silent for longer is dead."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many jobs stand where. started: by workers that live. finished and failed: those RQ still keeps."""

    name: str
    queued: int
    started: int
    finished: int
    failed: int
    deferred: int


@dataclass(frozen=True, slots=True)
class RqWorker:
    """A worker as RQ and its dashboard know it. last_heartbeat: ISO 8601, as RQ writes it.

    state: of RQ's, or `lost` for one of ours that is silent. current_job: one that it runs now.
    """

    name: str
    queues: tuple[str, ...]
    state: str
    current_job: str | None
    pid: int | None
    host: str
    last_heartbeat: str
    succeeded: int
    failed: int


_SILENT_TTL = HEARTBEAT_TTL - _SILENT_SECONDS
"""Seconds that the key of one of our workers has left when it has been silent for too long."""

LOST = "lost"
_OURS = re.compile("[0-9a-f]{32}-")

# Ours are named by 32 hexadecimal digits, a hyphen and a lane: of stock workers only the key's end is known.
_COUNT_STARTED = """
local count, lives = 0, {}
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local worker = redis.call('HGET', 'rq:execution:' .. entry, 'worker_name') or ''
  if lives[worker] == nil then
    local left = redis.call('PTTL', 'rq:worker:' .. worker)
    local is_ours = worker:find('^%x+%-') == 1 and worker:sub(33, 33) == '-'
    lives[worker] = left == -1 or left > (is_ours and tonumber(ARGV[1]) or 0)
  end
  if lives[worker] then count = count + 1 end
end
return count
"""


def known_projects(connection: Redis) -> set[str]:
    """The projects that have queues: a task of theirs was queued since Redis was empty. Raises RedisError."""
    keys = map(as_text, connection.smembers(Queue.redis_queues_keys))
    found = (project_of(key.removeprefix(Queue.redis_queue_namespace_prefix)) for key in keys)
    return {project for project in found if project is not None}


def all_queue_depths(connection: Redis) -> list[QueueDepth]:
    """The depth of each queue of each project; raises QueueUnavailable."""
    with answering():
        others = sorted(known_projects(connection) - {DEFAULT_PROJECT})
    return queue_depths(connection, [*QUEUES, *(name for project in others for name in task_queues(project))])


def queue_depths(connection: Redis, names: Sequence[str] = QUEUES) -> list[QueueDepth]:
    """The depth of each of these queues, in one round trip; raises QueueUnavailable."""
    moment = time.time()
    with answering(), connection.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.llen(f"rq:queue:{name}")
            pipeline.eval(_COUNT_STARTED, 1, f"rq:wip:{name}", _SILENT_TTL * 1000)
            pipeline.zcount(f"rq:finished:{name}", moment, "+inf")
            pipeline.zcount(f"rq:failed:{name}", moment, "+inf")
            pipeline.zcard(f"rq:deferred:{name}")
        counts = iter(pipeline.execute())
    return [QueueDepth(name, *(next(counts) for _ in range(5))) for name in names]


# By the time to live of the worker's key: each sign of life sets it to HEARTBEAT_TTL, and Redis' own clock
# counts it down. A stock worker's is longer, because it says nothing for minutes while it is idle.
_STARTED = """
local live, lives = {}, {}
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local worker = redis.call('HGET', 'rq:execution:' .. entry, 'worker_name') or ''
  if lives[worker] == nil then
    lives[worker] = redis.call('PTTL', 'rq:worker:' .. worker) > tonumber(ARGV[1])
  end
  if lives[worker] then live[#live + 1] = entry end
end
return live
"""


def live_job_ids(connection: Redis, *queues: str) -> set[str]:
    """The jobs that somebody will run or is running; raises QueueUnavailable.

    Those in the queues' lists, those that a stock worker has just popped, and those started by a worker that
    lives. Nothing is lost when a slow one is taken for dead: one of two deliveries finds its task claimed.
    """
    # In a transaction: a job that moves on between two reads would be in neither.
    with answering(), connection.pipeline(transaction=True) as pipeline:
        for queue in queues:
            pipeline.lrange(f"rq:queue:{queue}", 0, -1)
            pipeline.lrange(f"rq:queue:{queue}:intermediate", 0, -1)
            pipeline.eval(_STARTED, 1, f"rq:wip:{queue}", (HEARTBEAT_TTL - _SILENT_SECONDS) * 1000)
        found = pipeline.execute()
    # A started entry is `<job id>:<execution id>`.
    return {entry.decode().partition(":")[0] for entries in found for entry in entries}


def rq_workers(connection: Redis) -> list[RqWorker]:
    """The workers that RQ lists and whose keys have not expired, by name; raises QueueUnavailable."""
    with answering():
        keys = sorted(map(as_text, connection.smembers("rq:workers")))
        with connection.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hgetall(key)
                pipeline.ttl(key)
            answers = iter(pipeline.execute())
            found = [_worker(key, next(answers), next(answers)) for key in keys]
            workers = [worker for worker in found if worker is not None]
            for worker in workers:
                pipeline.hget(f"rq:job:{worker.current_job or ''}", "status")
            statuses = pipeline.execute()
    return [_at_work(worker, status) for worker, status in zip(workers, statuses, strict=True)]


def _worker(key: str, raw: dict[bytes, bytes], seconds_left: int) -> RqWorker | None:
    if not raw:
        return None
    fields = {name.decode(): value.decode() for name, value in raw.items()}
    name = key.removeprefix("rq:worker:")
    is_lost = _OURS.match(name) is not None and 0 <= seconds_left <= _SILENT_TTL
    return RqWorker(
        name=name,
        queues=tuple(filter(None, fields.get("queues", "").split(","))),
        state=LOST if is_lost else fields.get("state", "?"),
        current_job=fields.get("current_job"),
        pid=int(fields["pid"]) if fields.get("pid") else None,
        host=fields.get("hostname", ""),
        last_heartbeat=fields.get("last_heartbeat", ""),
        succeeded=int(fields.get("successful_job_count", 0)),
        failed=int(fields.get("failed_job_count", 0)),
    )


def _at_work(worker: RqWorker, status: bytes | None) -> RqWorker:
    """Without the job that it ran last: a worker that is busy runs one that stands as started."""
    is_at_work = worker.state == WorkerStatus.BUSY and status == JobStatus.STARTED.encode()
    return worker if is_at_work else replace(worker, current_job=None)
