"""One round trip to Redis: what ended goes in, new jobs come out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

from redis import Redis
from redis.client import Pipeline
from rq.utils import now

from headrace.queues.records import JobRecord
from headrace.queues.scripts import execute
from headrace_worker.rq_adopt import ADOPT, WRITE_DOWN, add_adoption, add_records, may_write_down
from headrace_worker.rq_claim import (
    CLAIM,
    ClaimAnswer,
    ClaimedJob,
    Keys,
    add_claim,
    lost_claims,
    read_claim,
)
from headrace_worker.rq_finish import FINISH, Ended, add_finish


@dataclass(frozen=True, slots=True)
class Request:
    """adopted: jobs that this worker began without a queue. ended: plain successes. wanted: free slots.

    state, current_job: what the worker does, for dashboards.

    known: the started entries of this worker's jobs, when it may have lost the answer to a claim; else None.
    """

    adopted: Sequence[ClaimedJob]
    ended: Sequence[Ended]
    wanted: int
    state: str
    current_job: str | None
    known: Collection[str] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """jobs: claimed, at most as many as wanted. not_plain: the executions of `ended` that RQ must record."""

    not_plain: frozenset[str]
    jobs: list[ClaimedJob] = field(default_factory=list)
    registered: bool = True
    suspended: bool = False


class Exchange:
    """Speaks with Redis for one worker, from one thread at a time."""

    def __init__(self, connection: Redis, keys: Keys) -> None:
        self.keys = keys
        self._connection = connection
        # An execution id is 32 hex digits, as RQ's: 16 of this worker, 8 of the claim, 8 of the job in it.
        self._prefix = uuid4().hex[:16]
        self._claims = count()

    def run(self, request: Request) -> Answer:
        """Raises RedisError; then the same `ended` may be sent again, and `known` finds what was claimed."""
        lost = [] if request.known is None else self._lost(request.known)[: request.wanted]
        wanted = request.wanted - len(lost)
        running, ended, whole = _sorted_out(request)
        replies = 0

        def fill(pipeline: Pipeline) -> None:
            nonlocal replies
            replies = add_adoption(pipeline, self.keys, running) + add_records(pipeline, self.keys, whole)
            add_finish(pipeline, self.keys, ended, request.state, request.current_job)
            if wanted:
                add_claim(pipeline, self.keys, wanted, f"{self._prefix}{next(self._claims):08x}")

        not_plain, *claim = execute(self._connection, (ADOPT, WRITE_DOWN, FINISH, CLAIM), fill)[replies:]
        answer = read_claim(claim[0], self._connection) if claim else ClaimAnswer(True, False, [])
        self.keys.rota.served(job.queue for job in answer.jobs)
        executions = frozenset(execution.decode() for execution in not_plain)
        return Answer(executions, lost + answer.jobs, answer.registered, answer.suspended)

    def adopt(self, job: JobRecord) -> ClaimedJob:
        """An execution of a job that was made here and is run here: the next exchange tells Redis."""
        fields = {name.encode(): str(value).encode() for name, value in job.fields().items()}
        execution = f"{self._prefix}{next(self._claims):08x}{0:08x}"
        return ClaimedJob(job.id, execution, now(), fields, self._connection, job.queue)

    def _lost(self, known: Collection[str]) -> list[ClaimedJob]:
        return lost_claims(self._connection, self.keys, self._prefix, known)


def _sorted_out(request: Request) -> tuple[list[ClaimedJob], list[Ended], list[Ended]]:
    """Adopted jobs that run; ended ones that Redis knows; ended ones that it does not know."""
    adopted = {one.execution_id for one in request.adopted}
    whole = [one for one in request.ended if one.claimed.execution_id in adopted and may_write_down(one)]
    past = {one.claimed.execution_id for one in whole}
    running = [one for one in request.adopted if one.execution_id not in past]
    return running, [one for one in request.ended if one.claimed.execution_id not in past], whole
