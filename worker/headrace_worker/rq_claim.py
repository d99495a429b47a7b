"""Takes jobs from a queue, and keeps the claim alive, in RQ's data model.

RQ does the same in six round trips a job; a script does it in one for any number of jobs, and without the
moment in which an id is in no list. The keys and fields are RQ 2.12's; a contract test compares them with a
stock worker's.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.defaults import DEFAULT_RESULT_TTL
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now, utcformat

from headrace.graph.json_types import JsonValue
from headrace.queues.records import HEARTBEAT_TTL
from headrace.queues.scripts import Script, execute
from headrace_worker.rota import Rota

Call: TypeAlias = tuple[str, list[JsonValue]]
_Hash: TypeAlias = dict[bytes, bytes]
_SPECIAL = (b"success_callback_name", b"webhooks", b"repeats_left", b"group_id")
_Row: TypeAlias = tuple[bytes, bytes, bytes, list[bytes]]


@dataclass(frozen=True, slots=True)
class Keys:
    """What one worker works with in Redis. rota: the names of its queues."""

    rota: Rota
    worker_name: str

    @property
    def worker(self) -> str:
        return f"rq:worker:{self.worker_name}"


@dataclass(eq=False, slots=True)
class ClaimedJob:
    """One execution of a job by this worker. fields: its hash, as it was claimed. queue: from which one,
    and so in whose registries it stands.

    RQ's own object is made only for those who need it: it takes longer than most nodes.
    """

    id: str
    execution_id: str
    started_at: datetime
    fields: Mapping[bytes, bytes]
    connection: Redis
    queue: str
    _call: Call | None = None
    _job: Job | None = None
    _damage: Exception | None = None

    @property
    def entry(self) -> str:
        """What stands in the StartedJobRegistry."""
        return f"{self.id}:{self.execution_id}"

    @property
    def function(self) -> str | None:
        """The dotted name of what it calls; None when that cannot be read."""
        call = self._read_call()
        return call and call[0]

    @property
    def args(self) -> list[JsonValue]:
        call = self._read_call()
        return call[1] if call else []

    @property
    def timeout(self) -> float | None:
        """Seconds that the job may take; None for no limit, which RQ writes as -1."""
        seconds = _number(self.fields.get(b"timeout"), Queue.DEFAULT_TIMEOUT)
        return seconds if seconds > 0 else None

    @property
    def result_ttl(self) -> int:
        """Seconds that RQ keeps its result; negative for ever."""
        return _number(self.fields.get(b"result_ttl"), DEFAULT_RESULT_TTL)

    @property
    def is_special(self) -> bool:
        """Whether RQ has more to do at its end than to write it down."""
        return any(self.fields.get(name) for name in _SPECIAL)

    @property
    def job(self) -> Job:
        """RQ's object; of a job that cannot be read, enough for RQ to record its failure."""
        if self._job is None:
            self._restore()
        assert self._job is not None
        return self._job

    @property
    def damage(self) -> Exception | None:
        """Why RQ's object cannot be made of the hash, if it cannot."""
        self._restore()
        return self._damage

    def as_execution(self) -> Execution:
        """RQ's own object for it, as RQ's handlers expect."""
        execution = Execution(self.execution_id, self.id, self.connection, self.job.worker_name or "")
        execution.created_at = self.started_at
        return execution

    def _read_call(self) -> Call | None:
        if self._call is None:
            self._call = read_call(self.fields)
        return self._call

    def _restore(self) -> None:
        if self._job is not None:
            return
        try:
            self._job = Job(self.id, connection=self.connection, serializer=JSONSerializer)
            self._job.restore(dict(self.fields))
            self._job.started_at = self._job.started_at or self.started_at
        except Exception as damage:  # whatever somebody else wrote there: it is this job's failure
            self._damage = damage
            self._job = _unreadable(self)


def _number(text: bytes | None, default: int) -> int:
    """Whoever wrote the hash may have written anything."""
    try:
        return int(text) if text else default
    except ValueError:
        return default


def read_call(fields: Mapping[bytes, bytes]) -> Call | None:
    """Function and arguments of a job's hash, if they are JSON."""
    data = fields.get(b"data", b"")
    with suppress(zlib.error):  # RQ compresses, and reads what is not
        data = zlib.decompress(data)
    try:
        function, _, arguments, _ = json.loads(data)
    except (ValueError, TypeError):
        return None
    return (function, arguments) if isinstance(function, str) and isinstance(arguments, list) else None


class ClaimAnswer(NamedTuple):
    """registered: Redis knows this worker (FLUSHALL makes it forget). suspended: `rq suspend` holds all."""

    registered: bool
    suspended: bool
    jobs: list[ClaimedJob]


# Says that the worker lives, and empties one queue before it looks into the next; of several projects, those
# of one rank before the next, in equal shares of the free slots. An id whose hash is gone was deleted, in
# the dashboard or by a withdrawal: it is dropped.
CLAIM = Script("""
local worker = KEYS[1]
local wanted, text, seconds = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local name, ttl, prefix, width = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local registered, suspended = redis.call('HEXISTS', worker, 'birth'), redis.call('EXISTS', KEYS[2])
local claimed = {}
if registered == 1 then
  redis.call('HSET', worker, 'last_heartbeat', text)
  redis.call('EXPIRE', worker, ttl)
end
if registered == 0 or suspended == 1 then return {registered, suspended, claimed} end
local function take(ids, queue)
  for _, id in ipairs(ids) do
    local job = 'rq:job:' .. id
    if redis.call('EXISTS', job) == 1 then
      local execution = prefix .. string.format('%08x', #claimed)
      local record, all = 'rq:execution:' .. id .. ':' .. execution, 'rq:executions:' .. id
      redis.call('HSET', record, 'id', execution, 'created_at', seconds, 'last_heartbeat', seconds,
                 'worker_name', name)
      redis.call('EXPIRE', record, ttl)
      redis.call('ZADD', all, seconds + ttl + 60, execution)
      redis.call('EXPIRE', all, ttl + 60)
      redis.call('ZADD', 'rq:wip:' .. queue, seconds + ttl, id .. ':' .. execution)
      redis.call('HSET', job, 'status', 'started', 'started_at', text, 'last_heartbeat', text,
                 'worker_name', name)
      redis.call('PERSIST', job)
      claimed[#claimed + 1] = {id, execution, queue, redis.call('HGETALL', job)}
    end
  end
end
-- Which of the queues hold jobs; with one project, taking them finds out.
local function filled(first)
  if width == 1 then return {ARGV[first]} end
  local found, last = {}, first + width - 1
  for from = first, last, 1000 do
    local some = {}
    for i = from, math.min(from + 999, last) do some[#some + 1] = 'rq:queue:' .. ARGV[i] end
    if redis.call('EXISTS', unpack(some)) > 0 then
      for i = from, from + #some - 1 do found[#found + 1] = ARGV[i] end
    end
  end
  return found
end
local function share_out(queues)
  while #queues > 0 and #claimed < wanted do
    local share, left = math.max(1, math.floor((wanted - #claimed) / #queues)), {}
    for _, queue in ipairs(queues) do
      local most = math.min(share, wanted - #claimed)
      local ids = most > 0 and redis.call('LPOP', 'rq:queue:' .. queue, most)
      if ids then
        take(ids, queue)
        if #ids == most then left[#left + 1] = queue end
      end
    end
    queues = left
  end
end
for first = 8, #ARGV, width do
  if #claimed == wanted then break end
  share_out(filled(first))
end
if #claimed > 0 then
  redis.call('HSET', worker, 'state', 'busy', 'current_job', claimed[1][1], 'current_job_working_time', 0)
end
return {registered, suspended, claimed}
""")

# Only what is still there is renewed: a job that was deleted while it runs must not come back as half a hash.
_RENEW = Script("""
local worker, text, seconds, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
for i = 4, #ARGV, 3 do
  local id, execution, started = ARGV[i], ARGV[i + 1], 'rq:wip:' .. ARGV[i + 2]
  local job, record, all = 'rq:job:' .. id, 'rq:execution:' .. id .. ':' .. execution, 'rq:executions:' .. id
  if redis.call('ZSCORE', started, id .. ':' .. execution) then
    redis.call('ZADD', started, seconds + ttl, id .. ':' .. execution)
    redis.call('ZADD', all, seconds + ttl + 60, execution)
    redis.call('EXPIRE', all, ttl + 60)
    if redis.call('EXISTS', record) == 1 then
      redis.call('HSET', record, 'last_heartbeat', seconds)
      redis.call('EXPIRE', record, ttl)
    end
    if redis.call('EXISTS', job) == 1 then redis.call('HSET', job, 'last_heartbeat', text) end
  end
end
if redis.call('HEXISTS', worker, 'birth') == 0 then return 0 end
redis.call('HSET', worker, 'last_heartbeat', text)
redis.call('EXPIRE', worker, ttl)
return 1
""")


def add_claim(pipeline: Pipeline, keys: Keys, wanted: int, prefix: str) -> None:
    """Adds a claim of up to `wanted` jobs. prefix: 24 hex digits of this claim alone, to name executions."""
    moment = now()
    text, seconds = utcformat(moment), moment.timestamp()
    values = (wanted, text, seconds, keys.worker_name, HEARTBEAT_TTL, prefix, keys.rota.width)
    CLAIM.add(pipeline, [keys.worker, WORKERS_SUSPENDED], [*values, *keys.rota.by_rank()])


def read_claim(answer: tuple[int, int, list[_Row]], connection: Redis) -> ClaimAnswer:
    """Reads the answer to `add_claim`."""
    registered, suspended, claimed = answer
    return ClaimAnswer(bool(registered), bool(suspended), [_claimed(one, connection) for one in claimed])


def lost_claims(connection: Redis, keys: Keys, prefix: str, known: Iterable[str]) -> list[ClaimedJob]:
    """Jobs that this worker has claimed without knowing, because the answer got lost with its connection.

    prefix: with which all its execution ids start. known: the started entries that it does know.
    """
    queues = keys.rota.queues
    with connection.pipeline(transaction=False) as pipeline:
        for queue in queues:
            pipeline.zrange(f"rq:wip:{queue}", 0, -1)
        found = pipeline.execute()
    mine = [
        (queue, *_split(entry))
        for queue, entries in zip(queues, found, strict=True)
        for entry in sorted({entry.decode() for entry in entries}.difference(known))
        if _split(entry)[1].startswith(prefix)
    ]
    with connection.pipeline(transaction=False) as pipeline:
        for _, job_id, _ in mine:
            pipeline.hgetall(f"rq:job:{job_id}")
        hashes = pipeline.execute()
    return [
        _claimed_job(job_id, execution, queue, fields, connection)
        for (queue, job_id, execution), fields in zip(mine, hashes, strict=True)
        if fields
    ]


def renew(connection: Redis, keys: Keys, jobs: Sequence[ClaimedJob]) -> bool:
    """Says for the worker and each of its jobs that they live; False when Redis does not know the worker."""
    moment = now()
    ids = [text for one in jobs for text in (one.id, one.execution_id, one.queue)]
    text, seconds = utcformat(moment), moment.timestamp()
    values: list[str | float] = [text, seconds, HEARTBEAT_TTL, *ids]
    (known,) = execute(connection, [_RENEW], lambda pipeline: _RENEW.add(pipeline, [keys.worker], values))
    return bool(known)


def _claimed(raw: _Row, connection: Redis) -> ClaimedJob:
    job_id, execution_id, queue, flat = raw
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return _claimed_job(job_id.decode(), execution_id.decode(), queue.decode(), fields, connection)


def _claimed_job(job_id: str, execution_id: str, queue: str, fields: _Hash, connection: Redis) -> ClaimedJob:
    moment = _moment(fields.get(b"started_at", b""))
    return ClaimedJob(job_id, execution_id, moment, fields, connection, queue)


def _split(entry: str) -> tuple[str, str]:
    """Job and execution of a started entry."""
    job_id, _, execution_id = entry.partition(":")
    return job_id, execution_id


def _moment(text: bytes) -> datetime:
    try:
        return datetime.fromisoformat(text.decode())
    except ValueError:
        return now()


def _unreadable(claimed: ClaimedJob) -> Job:
    job = Job(connection=claimed.connection, serializer=JSONSerializer)
    job._id = claimed.id
    job.data = claimed.fields.get(b"data", b"")
    job.origin = claimed.fields.get(b"origin", b"").decode(errors="replace")
    return job
