"""What runs again: in place after a failure or a cancel, or in a new run that uses earlier outputs again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from headrace.graph.decide import LOST_RACE, is_unhandled
from headrace.graph.join import EdgeOutcome
from headrace.graph.plan import Plan
from headrace.graph.states import TaskStatus


@dataclass(frozen=True, slots=True)
class Stored:
    """How a task of an ended run stands. outcomes: of its out-edges."""

    status: TaskStatus
    outcomes: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reopening:
    """What a retry in place does. Positions, each in order.

    requeued: failed tasks that get their next attempt. started: others that begin at once, as roots do.
    pending: those that wait again for all their edges. told: ended tasks whose out-edges count once more.
    """

    requeued: tuple[int, ...]
    started: tuple[int, ...]
    pending: tuple[int, ...]
    told: tuple[int, ...]

    @property
    def reopened(self) -> frozenset[int]:
        return frozenset((*self.requeued, *self.started, *self.pending))


_MAY_WAIT_AGAIN = (
    TaskStatus.PENDING,
    TaskStatus.SKIPPED,
    TaskStatus.UPSTREAM_FAILED,
    TaskStatus.CANCELLED,
)


def reopening(plan: Plan, tasks: Mapping[int, Stored], met: frozenset[int]) -> Reopening:
    """What a retry in place of an ended run does: completed tasks stay, and so do handled failures.

    Failed tasks that nobody handled run again, and what did not run because of them or of the end of the run
    waits again. A join that was met keeps its losers cancelled. met: positions of joins that were met.
    """
    failed = {
        position
        for position, task in tasks.items()
        if task.status is TaskStatus.FAILED and is_unhandled(plan, position, task.outcomes, met)
    }
    stopped = {
        position
        for position, task in tasks.items()
        if task.status is TaskStatus.CANCELLED and task.reason != LOST_RACE and plan.nodes[position].is_main
    }
    behind = _descendants(plan, failed | stopped)
    waiting = {
        position
        for position in (behind | stopped) - failed
        if tasks[position].status in _MAY_WAIT_AGAIN and tasks[position].reason != LOST_RACE
    }
    waiting |= {position for position in plan.finals if position in tasks}
    failed -= waiting
    started = {position for position in waiting if plan.nodes[position].is_main and not plan.into(position)}
    again = failed | waiting
    told = {edge.source for position in waiting for edge in plan.into(position)} - again
    return Reopening(
        tuple(sorted(failed)),
        tuple(sorted(started)),
        tuple(sorted(waiting - started)),
        tuple(sorted(told)),
    )


_REUSABLE = (TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.FAILED)


def reused(plan: Plan, tasks: Mapping[int, Stored], chosen: Collection[int]) -> frozenset[int]:
    """The tasks whose results a rerun uses again: none of the chosen ones, nor what comes after them.

    A task that did not end well is not used again, nor what comes after it, unless somebody handled it.
    """
    usable = {
        position
        for position, task in tasks.items()
        if plan.nodes[position].is_main and task.status in _REUSABLE and not _spreads(task)
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
