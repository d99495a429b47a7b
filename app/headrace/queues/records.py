"""The jobs that dispatches make, as RQ keeps them: a hash of fields under `rq:job:<id>`.

RQ's own `Job` would write the same and take five times as long; a test compares the two.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from redis.typing import EncodableT, FieldT
from rq.utils import now, utcformat

from headrace.graph.dispatch import Release, RunTask
from headrace.graph.json_types import JsonValue
from headrace.queues.names import DEPENDENCIES, RELEASE, RUN_TASK, TASKS

_TIMEOUT_MARGIN = 60
"""Seconds that RQ waits longer than the engine, whose own timeout is to act first."""

_RELEASE_TIMEOUT = 300
_TASK_RESULT_TTL = 60
_RELEASE_RESULT_TTL = 10
_FAILURE_TTL = 86_400

Fields: TypeAlias = dict[FieldT, EncodableT]

_EMPTY: Fields = dict.fromkeys(
    (
        "success_callback_name",
        "failure_callback_name",
        "stopped_callback_name",
        "started_at",
        "ended_at",
        "last_heartbeat",
        "worker_name",
        "group_id",
    ),
    "",
)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A queued job. fields: its hash."""

    id: str
    queue: str
    fields: Fields

    @property
    def key(self) -> str:
        return f"rq:job:{self.id}"


def record_of(dispatch: RunTask | Release) -> JobRecord:
    """The job of a dispatch. A release's id is random, so each call makes another job."""
    return _run_job(dispatch) if isinstance(dispatch, RunTask) else _release_job(dispatch)


def _run_job(task: RunTask) -> JobRecord:
    run = str(task.task.run_id)
    fields: Fields = {
        **_queued(TASKS, RUN_TASK, [str(task.task), task.attempt, task.delivery]),
        "description": f"run {run} node {task.node_id}",
        "timeout": math.ceil(task.timeout) + _TIMEOUT_MARGIN,
        "result_ttl": _TASK_RESULT_TTL,
        "meta": json.dumps({"run": run, "node": task.node_id}),
    }
    return JobRecord(task.job_id, TASKS, fields)


def _release_job(release: Release) -> JobRecord:
    tasks: list[JsonValue] = [str(task) for task in release.tasks]
    fields: Fields = {
        **_queued(DEPENDENCIES, RELEASE, [tasks]),
        "description": f"release {tasks[0]}" + (f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""),
        "timeout": _RELEASE_TIMEOUT,
        "result_ttl": _RELEASE_RESULT_TTL,
    }
    return JobRecord(uuid4().hex, DEPENDENCIES, fields)


def _queued(queue: str, function: str, arguments: list[JsonValue]) -> Fields:
    moment = utcformat(now())
    return {
        **_EMPTY,
        "created_at": moment,
        "enqueued_at": moment,
        "origin": queue,
        "status": "queued",
        # Not compressed, as RQ allows: it is short, and people who look into Redis can read it.
        "data": json.dumps([function, None, arguments, {}]),
        "failure_ttl": _FAILURE_TTL,
    }
