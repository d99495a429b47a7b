"""Records how jobs ended, in RQ's data model.

A plain success (nearly all are) goes through one script for a whole batch. Failures, and successes with
dependents, callbacks, webhooks, groups, repeats or a returned Retry, go through RQ's own handlers one by one.
"""

from __future__ import annotations

import json
import threading
import traceback
from base64 import b64encode
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime

from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.defaults import UNSERIALIZABLE_RETURN_VALUE_PAYLOAD
from rq.job import JobStatus, Retry
from rq.results import Result
from rq.utils import utcformat

from headrace.log import Log
from headrace.queues.scripts import Script
from headrace_worker.rq_claim import ClaimedJob, Keys

_PAUSE = 0.5
_TRIES = 5

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended: with a result, with an error, or stopped."""

    claimed: ClaimedJob
    ended_at: datetime
    result: object = None
    error: BaseException | None = None
    stopped: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the script can record it."""
        failed = self.stopped or self.error is not None
        return not (failed or self.claimed.is_special or isinstance(self.result, Retry))


# An execution whose started entry is gone was recorded before (the answer got lost), or was cleaned up as
# abandoned, or flushed: there is nothing to record, and a job that was deleted must not come back. It returns
# those with dependents, which RQ's own handler enqueues.
FINISH = Script("""
local worker, name = KEYS[1], ARGV[1]
local count, seconds, others = 0, 0, {}
for i = 4, #ARGV, 8 do
  local id, execution, queue, ended = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local ttl, expires, took, fields = tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]
  local job, results, dependencies = 'rq:job:' .. id, 'rq:results:' .. id, 'rq:job::' .. id .. ':dependencies'
  if redis.call('EXISTS', job .. ':dependents') == 1 then
    others[#others + 1] = execution
  elseif redis.call('ZREM', 'rq:wip:' .. queue, id .. ':' .. execution) == 1 then
    redis.call('UNLINK', 'rq:execution:' .. id .. ':' .. execution)
    redis.call('ZREM', 'rq:executions:' .. id, execution)
    if redis.call('EXISTS', job) == 1 then
      count, seconds = count + 1, seconds + tonumber(took)
      if ttl == 0 then
        redis.call('UNLINK', job, dependencies)
      else
        redis.call('HSET', job, 'status', 'finished', 'ended_at', ended, 'last_heartbeat', ended)
        redis.call('XADD', results, 'MAXLEN', '~', 10, '*', unpack(cjson.decode(fields)))
        if ttl > 0 then
          redis.call('EXPIRE', job, ttl)
          redis.call('EXPIRE', dependencies, ttl)
          redis.call('EXPIRE', results, ttl)
        else
          redis.call('PERSIST', results)
        end
        redis.call('ZADD', 'rq:finished:' .. queue, expires, id)
      end
    end
  end
end
if redis.call('HEXISTS', worker, 'birth') == 1 then
  if count > 0 then
    redis.call('HINCRBY', worker, 'successful_job_count', count)
    redis.call('HINCRBYFLOAT', worker, 'total_working_time', seconds)
  end
  redis.call('HSET', worker, 'state', ARGV[2])
  if ARGV[3] == '' then redis.call('HDEL', worker, 'current_job')
  else redis.call('HSET', worker, 'current_job', ARGV[3]) end
end
return others
""")


def add_finish(
    pipeline: Pipeline, keys: Keys, ended: Sequence[Ended], state: str, current: str | None
) -> None:
    """Adds the record of plain successes, and what the worker does now: its state and one of its jobs' ids.

    The answer names the executions that it left alone, for `record`. Done twice, it changes nothing.
    """
    jobs = [value for one in ended for value in finish_values(keys, one)]
    FINISH.add(
        pipeline,
        [keys.worker],
        [keys.worker_name, state, current or "", *jobs],
    )


def finish_values(keys: Keys, ended: Ended) -> tuple[str | int | float, ...]:
    """One job as FINISH takes it: id, execution, queue, end, time to live, expiry, seconds taken, result."""
    claimed = ended.claimed
    ttl = claimed.result_ttl
    expires = int(ended.ended_at.timestamp()) + ttl if ttl >= 0 else "+inf"
    seconds = (ended.ended_at - claimed.started_at).total_seconds()
    result = json.dumps(_result_fields(keys, ended))
    end = utcformat(ended.ended_at)
    return claimed.id, claimed.execution_id, claimed.queue, end, ttl, expires, seconds, result


def _result_fields(keys: Keys, ended: Ended) -> list[str]:
    """What `Result.serialize` gives for a success, as names and values in turn."""
    fields = ["type", str(Result.Type.SUCCESSFUL.value), "worker_name", keys.worker_name]
    if ended.result is not None:
        fields += ["return_value", b64encode(_serialized(ended.result)).decode()]
    claimed = ended.claimed
    return [
        *fields,
        "execution_id",
        claimed.execution_id,
        "execution_started_at",
        str(claimed.started_at.timestamp()),
        "execution_ended_at",
        str(ended.ended_at.timestamp()),
    ]


def _serialized(result: object) -> bytes:
    try:
        return json.dumps(result).encode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps(UNSERIALIZABLE_RETURN_VALUE_PAYLOAD).encode()


def record(worker: SimpleWorker, ended: Ended, give_up: threading.Event) -> None:
    """Records any end through RQ's handlers, and tries again while Redis is away, until `give_up`.

    worker: a copy made for this call, because RQ's handlers keep the one execution that they know in it.
    """
    ended = _call_back(worker, ended)
    queue = _queue_of(worker, ended.claimed)
    started = queue.started_job_registry.key
    tries = 0
    while not give_up.is_set():
        try:
            # RQ's handlers swallow some errors of Redis: the started entry tells whether they have worked.
            if worker.connection.zscore(started, ended.claimed.entry) is None:
                return
            if tries == _TRIES:
                break
            _handle(worker, queue, ended)
            tries += 1
        except RedisError as error:
            _log.warning("record", f"job {ended.claimed.id} is not recorded yet", error=str(error))
            give_up.wait(_PAUSE)
    _log.warning("record", f"job {ended.claimed.id} could not be recorded; RQ will find it abandoned")


def _queue_of(worker: SimpleWorker, claimed: ClaimedJob) -> Queue:
    return next(queue for queue in worker.queues if queue.name == claimed.queue)


def _call_back(worker: SimpleWorker, ended: Ended) -> Ended:
    """Calls the job's callback and the exception handlers, once. A failing success callback fails the job."""
    job = ended.claimed.job
    job.ended_at = ended.ended_at
    try:
        if ended.stopped:
            job.execute_stopped_callback(worker.death_penalty_class)
            return ended
        if ended.error is None:
            if not isinstance(ended.result, Retry):
                job._status = JobStatus.FINISHED
                job.execute_success_callback(worker.death_penalty_class, ended.result)
            return ended
        failure = ended.error
    except Exception as error:
        failure = error
    return ended if ended.stopped else _call_back_failure(worker, ended, failure)


def _call_back_failure(worker: SimpleWorker, ended: Ended, error: BaseException) -> Ended:
    job = ended.claimed.job
    job._status = JobStatus.FAILED
    try:
        job.execute_failure_callback(worker.death_penalty_class, type(error), error, error.__traceback__)
    except Exception as another:
        error = another
    worker.handle_exception(job, type(error), error, error.__traceback__)
    return replace(ended, error=error)


def _handle(worker: SimpleWorker, queue: Queue, ended: Ended) -> None:
    job = copy(ended.claimed.job)  # the handlers count down its retries, also when they fail
    worker.execution = ended.claimed.as_execution()
    if ended.stopped:
        worker._stopped_job_id = job.id
        worker.handle_job_failure(job, queue, exc_string="Job stopped by user.")
    elif ended.error is not None:
        worker.handle_job_failure(job, queue, exc_string="".join(traceback.format_exception(ended.error)))
    elif isinstance(ended.result, Retry):
        worker.handle_job_retry(job, queue, ended.result, queue.started_job_registry, worker.execution)
    else:
        job._result = ended.result
        worker.handle_job_success(job, queue, queue.started_job_registry)
        job.send_webhooks(JobStatus.FINISHED)
