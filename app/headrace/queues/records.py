"""The jobs that dispatches make, as RQ keeps them: a hash of fields under `rq:job:<id>`.

RQ's own `Job` would write the same and take five times as long; a test compares the two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from rq.utils import now, utcformat

from headrace.graph.dispatch import Release, RunTask
from headrace.graph.json_types import JsonValue
from headrace.queues.names import DEPENDENCIES, RELEASE, RUN_TASK, task_queue
from headrace.queues.scripts import Script

_TIMEOUT_MARGIN = 60
"""Seconds that RQ waits longer than the engine, whose own timeout is to act first."""

_RELEASE_TIMEOUT = 300
_TASK_RESULT_TTL = 60
_RELEASE_RESULT_TTL = 10
FAILURE_TTL = 86_400

HEARTBEAT_TTL = 90
"""Seconds after which RQ takes a worker that says nothing for dead, and its jobs for abandoned."""

Fields: TypeAlias = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job to be queued. data: what it calls, as RQ writes it. meta: JSON, or '' for none.

    timeout, result_ttl: seconds.
    """

    id: str
    queue: str
    data: str
    description: str
    timeout: int
    result_ttl: int
    meta: str = ""

    @property
    def values(self) -> tuple[str | int, ...]:
        """What differs from job to job, as PUSH takes it."""
        return self.id, self.data, self.description, self.timeout, self.result_ttl, self.meta

    def fields(self) -> Fields:
        """The whole hash, as PUSH writes it."""
        moment = utcformat(now())
        return {
            **dict.fromkeys(EMPTY_FIELDS, ""),
            "created_at": moment,
            "enqueued_at": moment,
            "origin": self.queue,
            "status": "queued",
            "data": self.data,
            "description": self.description,
            "timeout": self.timeout,
            "result_ttl": self.result_ttl,
            "failure_ttl": FAILURE_TTL,
            **({"meta": self.meta} if self.meta else {}),
        }


EMPTY_FIELDS = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "started_at",
    "ended_at",
    "last_heartbeat",
    "worker_name",
    "group_id",
)

# Who listens to many queues is told of the first job in an empty one; who is told nothing looks by itself.
PUSH = Script(
    """
local queue, name, moment, failure_ttl, empty = KEYS[1], ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local ids = {}
for i = 5, #ARGV, 6 do
  local id, meta = ARGV[i], ARGV[i + 5]
  local job = 'rq:job:' .. id
  redis.call('HSET', job, 'created_at', moment, 'enqueued_at', moment, 'origin', name, 'status', 'queued',
             'data', ARGV[i + 1], 'description', ARGV[i + 2], 'timeout', ARGV[i + 3],
             'result_ttl', ARGV[i + 4], 'failure_ttl', failure_ttl, unpack(empty))
  if meta ~= '' then redis.call('HSET', job, 'meta', meta) end
  ids[#ids + 1] = id
end
redis.call('SADD', KEYS[2], queue)
local depth = redis.call('RPUSH', queue, unpack(ids))
if depth == #ids and name:find('--', 1, true) then redis.call('PUBLISH', KEYS[3], name) end
return depth
"""
)

_EMPTY_PAIRS = json.dumps([text for name in EMPTY_FIELDS for text in (name, "")])


def push_values(queue: str, jobs: Sequence[JobRecord]) -> list[str | int]:
    """The arguments of PUSH for jobs of one queue."""
    head: list[str | int] = [queue, utcformat(now()), FAILURE_TTL, _EMPTY_PAIRS]
    return [*head, *(value for job in jobs for value in job.values)]


def record_of(dispatch: RunTask | Release) -> JobRecord:
    """The job of a dispatch. A release's id is random, so each call makes another job."""
    return _run_job(dispatch) if isinstance(dispatch, RunTask) else _release_job(dispatch)


def _run_job(task: RunTask) -> JobRecord:
    run = str(task.task.run_id)
    return JobRecord(
        id=task.job_id,
        queue=task_queue(task.priority, task.project),
        data=_data(RUN_TASK, [str(task.task), task.attempt, task.delivery]),
        description=f"run {run} node {task.node_id}",
        timeout=math.ceil(task.timeout) + _TIMEOUT_MARGIN,
        result_ttl=_TASK_RESULT_TTL,
        meta=json.dumps({"run": run, "node": task.node_id}),
    )


def _release_job(release: Release) -> JobRecord:
    tasks: list[JsonValue] = [str(task) for task in release.tasks]
    more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    return JobRecord(
        id=uuid4().hex,
        queue=DEPENDENCIES,
        data=_data(RELEASE, [tasks]),
        description=f"release {tasks[0]}{more}",
        timeout=_RELEASE_TIMEOUT,
        result_ttl=_RELEASE_RESULT_TTL,
    )


def _data(function: str, arguments: list[JsonValue]) -> str:
    """Not compressed, as RQ allows: it is short, and people who look into Redis can read it."""
    return json.dumps([function, None, arguments, {}])
