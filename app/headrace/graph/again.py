"""What runs again: in place after a failure or a cancel, or in a new run that uses earlier outputs again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from headrace.graph.decide import LOST_RACE, is_unhandled
from headrace.graph.edges import PlanEdge
from headrace.graph.join import EdgeOutcome, Tally, Verdict, decide_join
from headrace.graph.plan import Plan
from headrace.graph.states import ENDED, TaskStatus


@dataclass(frozen=True, slots=True)
class Stored:
    """How a task of an ended or a paused run stands. outcomes: of its out-edges.

    released_by: the in-edges that released it, where that is stored. ends_run: its node ended the run.
    """

    status: TaskStatus
    outcomes: str
    reason: str | None = None
    released_by: tuple[int, ...] | None = None
    ends_run: bool = False


@dataclass(frozen=True, slots=True)
class Reopening:
    """What a retry in place does. Positions, each in order.

    requeued: failed tasks that get their next attempt at once. started: others that begin, as roots do.
    pending: those that wait again for all their edges. told: ended tasks whose out-edges count once more.
    """

    requeued: tuple[int, ...]
    started: tuple[int, ...]
    pending: tuple[int, ...]
    told: tuple[int, ...]

    @property
    def reopened(self) -> frozenset[int]:
        return frozenset((*self.requeued, *self.started, *self.pending))

    @property
    def is_nothing(self) -> bool:
        """Nothing of the graph runs again, nor is there an end of it to look at once more."""
        return not (self.requeued or self.started or self.told)


_MAY_WAIT_AGAIN = (
    TaskStatus.PENDING,
    TaskStatus.SKIPPED,
    TaskStatus.UPSTREAM_FAILED,
    TaskStatus.CANCELLED,
)


def can_reopen(plan: Plan, tasks: Mapping[int, Stored]) -> bool:
    """Whether an ended run can go on in place: nothing of it was undone, and no node ended it."""
    undone = (TaskStatus.COMPLETED, TaskStatus.FAILED)
    if not tasks or any(tasks[at].status in undone for at in plan.compensations):
        return False
    if any(task.ends_run for task in tasks.values()):
        return False
    return not reopening(plan, tasks).is_nothing


def reopening(plan: Plan, tasks: Mapping[int, Stored]) -> Reopening:
    """What a retry in place of a run that has ended, or is paused, does.

    Completed tasks stay, and so do handled failures. Failed tasks that nobody handled run again, and what did
    not run because of them or of the end of the run waits again; so do failures behind others, whose input or
    whose join may be another one now. A join that was met keeps its losers cancelled. Where nothing of the
    graph failed, as in a run that was stopped after its last task, its ends count once more, and `finally`
    nodes run again.
    """
    failed, stopped = _unhandled(plan, tasks), _stopped(plan, tasks)
    behind = _descendants(plan, failed | stopped)
    waiting = {position for position in failed if position in behind or not _stands(plan, tasks, position)}
    waiting |= {
        position
        for position in behind | stopped
        if tasks[position].status in _MAY_WAIT_AGAIN and tasks[position].reason != LOST_RACE
    }
    if failed or stopped:
        waiting |= _pending(plan, tasks)
    waiting |= {position for position in plan.finals if position in tasks}
    failed -= waiting
    started = {position for position in waiting if plan.nodes[position].is_main and not plan.into(position)}
    again = failed | waiting
    told = {edge.source for position in waiting for edge in plan.into(position)} - again
    told = {position for position in told if tasks[position].status in ENDED}
    if not again - set(plan.finals):
        told |= _leaves(plan, tasks)
    return Reopening(
        tuple(sorted(failed)),
        tuple(sorted(started)),
        tuple(sorted(waiting - started)),
        tuple(sorted(told)),
    )


def _unhandled(plan: Plan, tasks: Mapping[int, Stored]) -> set[int]:
    met = frozenset(position for position, task in tasks.items() if task.released_by is not None)
    return {
        position
        for position, task in tasks.items()
        if task.status is TaskStatus.FAILED and is_unhandled(plan, position, task.outcomes, met)
    }


def _stands(plan: Plan, tasks: Mapping[int, Stored], position: int) -> bool:
    """Whether what released a task still would: its parents may have run again since, while it ran itself."""
    node = plan.nodes[position]
    if not node.in_edges:
        return True
    letters = {edge.index: _letter(tasks[edge.source], edge) for edge in plan.into(position)}
    tally = Tally.fresh(len(node.in_edges))
    for letter in letters.values():
        tally = tally if letter is None else tally.add(letter)
    released_by = tasks[position].released_by or ()
    is_met = decide_join(node.join, tally) is Verdict.RUN
    return is_met and all(letters[index] is EdgeOutcome.TAKEN for index in released_by)


def _letter(source: Stored, edge: PlanEdge) -> EdgeOutcome | None:
    """How an edge resolved; None before its source has ended, and where its run was given up."""
    letter = source.outcomes[edge.slot : edge.slot + 1] if source.status in ENDED else ""
    return EdgeOutcome(letter) if letter else None


def _stopped(plan: Plan, tasks: Mapping[int, Stored]) -> set[int]:
    return {
        position
        for position, task in tasks.items()
        if task.status is TaskStatus.CANCELLED and task.reason != LOST_RACE and plan.nodes[position].is_main
    }


def _pending(plan: Plan, tasks: Mapping[int, Stored]) -> set[int]:
    """What a paused run has not decided. All of it counts anew: whoever is told of an end a second time must
    have forgotten the first.
    """
    return {
        position
        for position, task in tasks.items()
        if task.status is TaskStatus.PENDING and plan.nodes[position].is_main
    }


def _leaves(plan: Plan, tasks: Mapping[int, Stored]) -> set[int]:
    """The last tasks of a graph all of whose tasks have ended; none while one has not."""
    main = {position for position in tasks if plan.nodes[position].is_main}
    if any(tasks[position].status not in ENDED for position in main):
        return set()
    return {position for position in main if not plan.out(position)}


_REUSABLE = (TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.FAILED)


def reused(plan: Plan, tasks: Mapping[int, Stored], chosen: Collection[int]) -> frozenset[int]:
    """The tasks whose results a rerun uses again: none of the chosen ones, nor what comes after them.

    A task that did not end well is not used again, nor what comes after it, unless somebody handled it. One
    that ended its run runs again: what it said is for the new run, too.
    """
    usable = {
        position
        for position, task in tasks.items()
        if plan.nodes[position].is_main and task.status in _REUSABLE and not (task.ends_run or _spreads(task))
    }
    again = set(range(len(plan.nodes))) - usable | set(chosen)
    return frozenset(usable - again - _descendants(plan, again))


def _spreads(task: Stored) -> bool:
    """Whether the task is a failure that its successors suffer from."""
    return task.status is TaskStatus.FAILED and (
        EdgeOutcome.FAILED in task.outcomes or EdgeOutcome.TAKEN not in task.outcomes
    )


def _descendants(plan: Plan, positions: Iterable[int]) -> set[int]:
    found: set[int] = set()
    waiting = list(positions)
    while waiting:
        for edge in plan.out(waiting.pop()):
            if edge.target not in found:
                found.add(edge.target)
                waiting.append(edge.target)
    return found
