"""Completions that release their successors as they are settled, and claim one of them.

One commit a hop instead of three, and no wake-up in between. The jobs that RQ is shown are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from uuid import UUID

from headrace.engine.execute import Finished, hand_back
from headrace.engine.prepare import Execution, prepare
from headrace.engine.program import Engine
from headrace.errors import HeadraceError
from headrace.graph.dispatch import Dispatch, RunTask
from headrace.graph.ids import TaskId
from headrace.graph.inputs import Result
from headrace.graph.json_types import JsonValue
from headrace.graph.shortcut import may_shortcut
from headrace.graph.states import TaskStatus
from headrace.log import Log
from headrace.store import shortcut
from headrace.store.claims import Settlement
from headrace.store.codec import as_stored, load, size_of
from headrace.store.events import LOG, Event
from headrace.store.ids import new_token
from headrace.store.shortcut import Completion, Holder

_log = Log("headrace.engine")


@dataclass(frozen=True, slots=True)
class Taker:
    """A process that goes on with the successors of what it completes.

    slots: asked for so many, keeps slots free and says how many. perform: runs a node that takes no time;
    without it no node runs ahead.
    """

    worker_id: UUID
    slots: Callable[[int], int]
    perform: Callable[[Execution], Finished] | None = None


NOBODY = Taker(UUID(int=0), partial(min, 0))
"""Successors go to the queue."""


@dataclass(frozen=True, slots=True)
class Completed:
    """An execution that completed. ended: when; and began, of one that ran ahead: on the monotonic clock."""

    execution: Execution
    settlement: Settlement
    events: Sequence[Event]
    output: JsonValue
    ended: float
    began: float | None = None

    def result(self) -> Result:
        """What it leaves to its successors: the same as if it was read from the database."""
        return Result(
            TaskStatus.COMPLETED,
            as_stored(self.output),
            size=size_of(self.settlement.output or ""),
            outcomes=self.settlement.outcomes or "",
        )


@dataclass(frozen=True, slots=True)
class Ran:
    """A task that ran ahead and was recorded. seconds: that its code took."""

    execution: Execution
    dispatch: RunTask
    seconds: float


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What came of a batch; a task in neither `released` nor `settled` came too late.

    ran: ahead; they are among the released.
    """

    released: Sequence[TaskId]
    settled: Sequence[TaskId]
    ran: Sequence[Ran]
    dispatches: Sequence[Dispatch]
    taken: Sequence[Execution]


def is_quick(execution: Execution, settlement: Settlement) -> bool:
    """Whether this end of an execution may be handed over."""
    plan, position = execution.program.plan, execution.task.position
    is_plain = settlement.ends_run is None and not plan.nodes[position].is_guarded
    return is_plain and may_shortcut(plan, position, settlement.status, settlement.outcomes or "")


async def hand_over(
    engine: Engine, batch: Sequence[Completed], taker: Taker, ahead: Sequence[Completed] = ()
) -> HandedOver:
    """Settles completions, releases their successors, and claims some of those for the taker's free slots.

    ahead: completions of successors that ran before their parents' ends are recorded, parents first.
    """
    holder = Holder(taker.worker_id, new_token(), engine.lease_seconds)
    everything = [*batch, *ahead]
    following = _following(everything)
    chosen = set(following[: taker.slots(len(following))])
    now = monotonic()
    completions = [_completion(one, chosen, now) for one in everything]
    async with engine.db.connection() as tx:
        outcome = await shortcut.complete(tx, completions, holder)
        # It is committed: what goes wrong from here on concerns the successors only.
        try:
            at_hand = _at_hand(batch, outcome) | {one.execution.task: one.result() for one in ahead}
            taken = await prepare(engine, tx, outcome.claimed, at_hand)
            given_back: list[Dispatch] = []
        except Exception as error:
            _log.warning("not_taken", f"{type(error).__name__}: {error}", tasks=len(outcome.claimed))
            taken, given_back = [], await _give_back(engine, outcome)
    dispatches = [*(one.dispatch() for one in outcome.queued), *given_back]
    for task in outcome.settled:
        engine.runs.note_detour(task.run_id)
    ran = _ran(ahead, outcome)
    released = [*outcome.released, *(one.execution.task for one in ran)]
    return HandedOver(released, outcome.settled, ran, dispatches, taken)


def _ran(ahead: Sequence[Completed], outcome: shortcut.Outcome) -> list[Ran]:
    recorded = {one.task: one.dispatch() for one in outcome.ran}
    return [
        Ran(one.execution, dispatch, one.ended - (one.began or one.ended))
        for one in ahead
        if (dispatch := recorded.get(one.execution.task)) is not None
    ]


async def _give_back(engine: Engine, outcome: shortcut.Outcome) -> list[Dispatch]:
    """Queues what was claimed and cannot be begun here; without PostgreSQL, its leases run out."""
    try:
        return await hand_back(engine, {one.task: one.token for one in outcome.claimed})
    except HeadraceError:
        return []


def _at_hand(batch: Sequence[Completed], outcome: shortcut.Outcome) -> dict[TaskId, Result]:
    """Results as the database gives them: a successor gets the same whichever way it comes."""
    letters = {one.settlement.task: one.settlement.outcomes or "" for one in batch}
    return {
        task: Result(TaskStatus.COMPLETED, load(text), size=size_of(text or ""), outcomes=letters[task])
        for task, text in outcome.outputs.items()
    }


def _following(batch: Sequence[Completed]) -> list[TaskId]:
    """Which successors the taker would claim if they become ready, once each, in the order of its wishes.

    The first of each completion, so that a chain goes on; of its others, which other processes could run
    beside it, only those that take no longer than their way through the queue.
    """
    done = {one.execution.task for one in batch}
    found: dict[TaskId, None] = {}
    for one in batch:
        for number, target in enumerate(_targets(one.execution)):
            task = TaskId(one.execution.task.run_id, target)
            if task not in done and (number == 0 or one.execution.program.types[target].is_instant):
                found[task] = None
    return list(found)


def _targets(execution: Execution) -> list[int]:
    return [edge.target for edge in execution.program.plan.out(execution.task.position)]


def _completion(one: Completed, chosen: set[TaskId], now: float) -> Completion:
    execution, settlement = one.execution, one.settlement
    targets = _targets(execution)
    return Completion(
        task=settlement.task,
        token=settlement.token if one.began is None else None,
        outcomes=settlement.outcomes or "",
        output=settlement.output,
        targets=targets,
        log=[event for event in one.events if event.type == LOG],
        kept={target for target in targets if TaskId(settlement.task.run_id, target) in chosen},
        ended_ago=now - one.ended,
        begun_ago=0.0 if one.began is None else now - one.began,
    )
