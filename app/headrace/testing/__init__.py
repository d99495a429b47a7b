"""Tests of workflows: the real engine in the test's own process, on a real PostgreSQL, with time that skips.

`run_workflow` runs a workflow to its end. `bench` is for tests that look in between. See
docs/howto/test-your-workflows.md. `activity_context` is for tests of single activities.
"""

from headrace.testing.activities import Told, activity_context
from headrace.testing.bench import Bench, bench
from headrace.testing.broker import RecordingBroker
from headrace.testing.clock import Clock, DidNotEnd
from headrace.testing.fake_http import FakeHttp, InTurn, NotScripted, Reply
from headrace.testing.results import LogEntry, RunResult, TaskResult
from headrace.testing.run import run_workflow

__all__ = [
    "Bench",
    "Clock",
    "DidNotEnd",
    "FakeHttp",
    "InTurn",
    "LogEntry",
    "NotScripted",
    "RecordingBroker",
    "Reply",
    "RunResult",
    "TaskResult",
    "Told",
    "activity_context",
    "bench",
    "run_workflow",
]
