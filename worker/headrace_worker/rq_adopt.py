"""Shows RQ jobs that no queue has seen: they were made in this process and are run in it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from redis.client import Pipeline
from rq.utils import utcformat

from headrace.queues.records import FAILURE_TTL, HEARTBEAT_TTL
from headrace.queues.scripts import Script
from headrace_worker.rq_claim import ClaimedJob, Keys
from headrace_worker.rq_finish import Ended, finish_values

ADOPT = Script("""
local text, name, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
for i = 4, #ARGV, 4 do
  local id, execution, queue, seconds = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local job, record, all = 'rq:job:' .. id, 'rq:execution:' .. id .. ':' .. execution, 'rq:executions:' .. id
  redis.call('HSET', record, 'id', execution, 'created_at', seconds, 'last_heartbeat', seconds,
             'worker_name', name)
  redis.call('EXPIRE', record, ttl)
  redis.call('ZADD', all, seconds + ttl + 60, execution)
  redis.call('EXPIRE', all, ttl + 60)
  redis.call('ZADD', 'rq:wip:' .. queue, seconds + ttl, id .. ':' .. execution)
  redis.call('HSET', job, 'status', 'started', 'started_at', text, 'last_heartbeat', text,
             'worker_name', name)
end
""")

# Most such jobs have ended before Redis hears of them: they are written down once, as they end up. A job that
# is there already was written before, and the answer got lost.
WRITE_DOWN = Script("""
local worker, name = KEYS[1], ARGV[1]
local failure_ttl, empty, count, seconds = ARGV[2], cjson.decode(ARGV[3]), 0, 0
for i = 4, #ARGV, 14 do
  local id, queue, ended, ttl = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local expires, took = ARGV[i + 5], ARGV[i + 6]
  local job, results = 'rq:job:' .. id, 'rq:results:' .. id
  if redis.call('EXISTS', job) == 0 then
    count, seconds = count + 1, seconds + tonumber(took)
    redis.call('HSET', job, 'origin', queue, 'worker_name', name, 'failure_ttl', failure_ttl,
               'status', 'finished', 'ended_at', ended, 'last_heartbeat', ended, 'result_ttl', ttl,
               'data', ARGV[i + 8], 'description', ARGV[i + 9], 'timeout', ARGV[i + 10],
               'created_at', ARGV[i + 12], 'enqueued_at', ARGV[i + 12], 'started_at', ARGV[i + 13],
               unpack(empty))
    if ARGV[i + 11] ~= '' then redis.call('HSET', job, 'meta', ARGV[i + 11]) end
    redis.call('XADD', results, 'MAXLEN', '~', 10, '*', unpack(cjson.decode(ARGV[i + 7])))
    redis.call('EXPIRE', job, ttl)
    redis.call('EXPIRE', results, ttl)
    redis.call('ZADD', 'rq:finished:' .. queue, expires, id)
  end
end
if count > 0 and redis.call('HEXISTS', worker, 'birth') == 1 then
  redis.call('HINCRBY', worker, 'successful_job_count', count)
  redis.call('HINCRBYFLOAT', worker, 'total_working_time', seconds)
end
""")

_NEVER_SET = ("success_callback_name", "failure_callback_name", "stopped_callback_name", "group_id")
_EMPTY_PAIRS = json.dumps([text for name in _NEVER_SET for text in (name, "")])
_PASSED_ON = (b"data", b"description", b"timeout", b"meta", b"created_at")


def add_adoption(pipeline: Pipeline, keys: Keys, jobs: Sequence[ClaimedJob]) -> int:
    """Adds jobs that were begun without a queue, as started; returns how many replies that makes."""
    if not jobs:
        return 0
    for one in jobs:
        pipeline.hset(f"rq:job:{one.id}", mapping=one.fields)  # type: ignore[arg-type]  # redis-py takes bytes
    values = [
        value for one in jobs for value in (one.id, one.execution_id, one.queue, one.started_at.timestamp())
    ]
    text = utcformat(jobs[0].started_at)
    ADOPT.add(pipeline, [], [text, keys.worker_name, HEARTBEAT_TTL, *values])
    return len(jobs) + 1


def may_write_down(ended: Ended) -> bool:
    """Whether an adopted job that has ended can be written down at once: what RQ does not keep cannot."""
    return ended.is_plain and ended.claimed.result_ttl > 0


def add_records(pipeline: Pipeline, keys: Keys, ended: Sequence[Ended]) -> int:
    """Adds adopted jobs that have ended and are unknown to Redis; returns how many replies that makes."""
    if not ended:
        return 0
    jobs = [value for one in ended for value in (*finish_values(keys, one), *_job_values(one.claimed))]
    head = (keys.worker_name, FAILURE_TTL, _EMPTY_PAIRS)
    WRITE_DOWN.add(pipeline, [keys.worker], [*head, *jobs])
    return 1


def _job_values(claimed: ClaimedJob) -> tuple[bytes | str, ...]:
    return (*(claimed.fields.get(name, b"") for name in _PASSED_ON), utcformat(claimed.started_at))
