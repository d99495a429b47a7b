"""Why one task stands where it stands, as far as it is its own affair: what it waits for, or how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from headrace.graph.explain_causes import Cause, CauseKind, moment, since, until
from headrace.graph.explain_facts import Facts, Holder, TaskFacts
from headrace.graph.json_types import JsonObject
from headrace.graph.queue_names import emptied_before
from headrace.graph.states import TaskStatus

_K = CauseKind
_NO_WORKER = "no worker process runs whose clock could wake it"


def own_causes(facts: Facts, task: TaskFacts) -> tuple[Cause, ...]:
    """What keeps a task that is not pending; several when it is held twice, as by a pause and a signal."""
    match task.status:
        case TaskStatus.QUEUED:
            return (_queued(facts, task),)
        case TaskStatus.RUNNING:
            text = f"has run{since(task.started_at)} (attempt {task.attempt})"
            return (Cause(_K.RUNNING, text, since=task.started_at, details={"attempt": task.attempt}),)
        case TaskStatus.WAITING:
            return _waiting(facts, task)
        case _:
            return (_ended(task),)


def paused(reason: str | None) -> str:
    """The reason of a pause, in brackets."""
    return f" ({reason})" if reason else ""


def held_by(holders: Sequence[Holder]) -> str:
    """`, held by run R since ...`; nothing when nobody holds it any more."""
    return f", held by {' and '.join(map(_holder, holders))}" if holders else ""


def _holder(holder: Holder) -> str:
    node = f" (node {holder.node_id})" if holder.node_id else ""
    return f"run {holder.run_id}{node} since {moment(holder.since)}"


def _queued(facts: Facts, task: TaskFacts) -> Cause:
    text = f"has been queued{since(task.queued_at)}"
    return Cause(_K.QUEUED, text, since=task.queued_at, causes=(_not_taken(facts, task),))


def _not_taken(facts: Facts, task: TaskFacts) -> Cause:
    """Why nobody has taken a queued task yet."""
    queue, look = task.queue, facts.looks.get(task.queue)
    if not facts.is_served(queue):
        who = "worker process of Headrace" if look is None else "worker"
        return Cause(_K.NO_WORKER, f"no {who} listens on {queue}", details={"queue": queue})
    if look is None or not look.depth:
        return _delivered(facts, task)
    ahead = look.depth - 1
    first = sum(facts.looks[name].depth for name in emptied_before(queue) if name in facts.looks)
    details: JsonObject = {"queue": queue, "atMost": ahead, "inQueuesBefore": first}
    return Cause(_K.JOBS_AHEAD, _ahead(queue, ahead, first), details=details)


def _ahead(queue: str, ahead: int, first: int) -> str:
    """ahead: jobs in its queue before it, at most. first: jobs of higher priority."""
    parts = []
    if ahead:
        parts.append(
            f"1 job is ahead in {queue}" if ahead == 1 else f"up to {ahead} jobs are ahead in {queue}"
        )
    if first:
        parts.append(f"{first} of higher priority {'goes' if first == 1 else 'go'} first")
    return ", and ".join(parts) or f"a worker takes it next from {queue}"


def _delivered(facts: Facts, task: TaskFacts) -> Cause:
    """It has a job, or lost it: the sweep finds out."""
    at = None if task.queued_at is None else task.queued_at + timedelta(seconds=facts.sweep_seconds)
    left = 0.0 if at is None else (at - facts.now).total_seconds()
    when = f"after {left:.0f} s" if left >= 1 else "when it comes next"
    return Cause(_K.LOST_JOB, f"it was delivered; the sweep looks for its job {when}", until=at)


def _waiting(facts: Facts, task: TaskFacts) -> tuple[Cause, ...]:
    is_due = task.wake_at is not None and task.wake_at <= facts.now
    if task.is_paused:
        pause = Cause(_K.PAUSED, "is held by the pause of its run")
        return (pause,) if is_due and task.held_for is None else (pause, _wait(facts, task))
    return (_due(facts, task) if is_due else _wait(facts, task),)


def _due(facts: Facts, task: TaskFacts) -> Cause:
    """Its time has come, and nobody has woken it yet."""
    asleep = () if facts.workers else (Cause(_K.NO_WORKER, _NO_WORKER),)
    text = f"has been due{since(task.wake_at)}"
    return Cause(_K.TIMER, text, since=task.wake_at, until=task.wake_at, causes=asleep)


def _wait(facts: Facts, task: TaskFacts) -> Cause:
    if task.held_for is not None:
        return _held(facts, task, task.held_for)
    named = _WAITS.get(task.waits_for or "")
    if named is not None:
        return named(task)
    if task.signal is not None:
        return _signal(task)
    what = f" for {task.waits_for}" if task.waits_for not in (None, "timer") else ""
    return Cause(_K.TIMER, f"waits{what}{until(task.wake_at)}", until=task.wake_at)


def _held(facts: Facts, task: TaskFacts, held_for: str) -> Cause:
    """By a breakpoint or a limit: `held_for` begins with which."""
    kind, _, name = held_for.partition(" ")
    match kind:
        case "key":
            holders = facts.key_holders.get(name, ())
            return key_cause(name, holders)
        case "rate":
            text = f"waits for the rate limit {name}{until(task.wake_at)}"
            return Cause(_K.RATE, text, until=task.wake_at, details={"key": name})
        case "activity":
            return _lacked(facts, task, name)
        case _:
            return Cause(_K.BREAKPOINT, f"stands at the breakpoint before node {task.node_id}")


def _lacked(facts: Facts, task: TaskFacts, name: str) -> Cause:
    """The worker that took it has not the activity."""
    count = facts.offers.get(name, 0)
    if count:
        who = "the worker that has" if count == 1 else f"one of {count} workers that have"
        return Cause(
            _K.ACTIVITY, f"waits for {who} the activity {name}{until(task.wake_at)}", until=task.wake_at
        )
    known = "" if name in facts.offers else "; none has ever declared it"
    text = f"no worker that runs knows the activity {name}{known}"
    return Cause(_K.ACTIVITY, text, until=task.wake_at, details={"activity": name, "workers": 0})


def key_cause(key: str, holders: Sequence[Holder], ahead: int = 0) -> Cause:
    """Somebody else has a concurrency key. ahead: how many get it first."""
    text = f"waits for key {key}{held_by(holders)}"
    if ahead:
        text += f", and {ahead} come first"
    first = holders[0] if holders else None
    return Cause(
        _K.KEY,
        text,
        node_id=None if first is None else first.node_id,
        run_id=None if first is None else first.run_id,
        since=None if first is None else first.since,
        details={"key": key, "ahead": ahead, "holders": [_as_json(one) for one in holders]},
    )


def _as_json(holder: Holder) -> JsonObject:
    return {
        "runId": str(holder.run_id),
        "nodeId": holder.node_id,
        "since": holder.since.isoformat(),
    }


def _signal(task: TaskFacts) -> Cause:
    asks = f' "{task.asks}"' if task.asks else ""
    match task.waits_for:
        case "approval":
            what = f"an approval{asks}"
        case "question":
            of_whom = f" of {task.asks_whom}" if task.asks_whom else ""
            what = f"an answer{of_whom} to its question{asks}"
        case _:
            what = f"signal {task.signal}"
    asked = {"asks": task.asks, "asksWhom": task.asks_whom} if task.asks else {}
    details: JsonObject = {"name": task.signal, "waitsFor": task.waits_for, **asked}
    text = f"waits for {what}{until(task.wake_at)}"
    if (refused := task.refused) is not None:
        text += f" (signal {refused.id} came early and was refused: {refused.reason})"
        details["refused"] = {"id": refused.id, "reason": refused.reason}
    return Cause(_K.SIGNAL, text, until=task.wake_at, details=details)


def _retry(task: TaskFacts) -> Cause:
    number = task.attempt + 1
    after = f" after {task.error}" if task.error else ""
    return Cause(
        _K.RETRY,
        f"waits for attempt {number}{after}{until(task.wake_at)}",
        until=task.wake_at,
        details={"attempt": number, "error": task.error},
    )


def _children(task: TaskFacts) -> Cause:
    batch = task.batch
    if batch is None:
        return Cause(_K.CHILDREN, f"waits for its children{until(task.wake_at)}", until=task.wake_at)
    failed = f", {batch.failed} of them badly" if batch.failed else ""
    text = (
        f"waits for its children ({batch.ended} of {batch.total} have ended{failed}, "
        f"at most {batch.at_once} at once){until(task.wake_at)}"
    )
    counts = {
        "total": batch.total,
        "started": batch.started,
        "ended": batch.ended,
        "failed": batch.failed,
        "atOnce": batch.at_once,
    }
    return Cause(_K.CHILDREN, text, until=task.wake_at, details={**counts})


def _look_again(task: TaskFacts) -> Cause:
    """It polls, or waits for a condition: at a time, or when a signal says so."""
    when = "later" if task.wake_at is None else f"at {moment(task.wake_at)}"
    signal = f", or at signal {task.signal}" if task.signal else ""
    what = "polls again" if task.waits_for == "poll" else "looks at its condition again"
    details = {"name": task.signal, "waitsFor": task.waits_for}
    return Cause(_K.TIMER, f"{what} {when}{signal}", until=task.wake_at, details={**details})


_WAITS: dict[str, Callable[[TaskFacts], Cause]] = {
    "retry": _retry,
    "children": _children,
    "poll": _look_again,
    "condition": _look_again,
}

_ENDS = {
    TaskStatus.SKIPPED: "was skipped",
    TaskStatus.UPSTREAM_FAILED: "does not run",
    TaskStatus.CANCELLED: "was cancelled",
    TaskStatus.FAILED: "failed",
    TaskStatus.COMPLETED: "completed",
}


def end_verb(status: TaskStatus) -> str:
    """What an ended task is said to have done."""
    return _ENDS[status]


def _ended(task: TaskFacts) -> Cause:
    if task.is_open:
        return Cause(_K.RELEASE, f"{end_verb(task.status)}; what follows it is about to be told")
    why = task.error or task.reason
    text = end_verb(task.status) + (f": {why}" if why else "")
    return Cause(_K.ENDED, text, details={"status": task.status.value, "reason": task.reason})
