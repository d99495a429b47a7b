"""When settling and releasing may be one step: where counters alone decide what an ended task releases.

The shortcut is never a second semantics: it is taken only where it must come to the same decision as
`headrace.graph.decide`, and a property test holds both equal.
"""

from __future__ import annotations

from headrace.graph.join import EdgeOutcome, Losers, Rule
from headrace.graph.plan import Plan
from headrace.graph.states import TaskStatus


def may_shortcut(plan: Plan, position: int, status: TaskStatus, outcomes: str) -> bool:
    """Whether a task that ended so may release its successors by counting, in a run without a failure.

    It completed, all its edges are TAKEN, and they lead to nodes that wait for all: such a node runs when its
    last edge is in. Nothing is skipped, so nothing cascades. Without `finally` nodes and
    compensations, the run ends with the last of its tasks.
    """
    return (
        status is TaskStatus.COMPLETED
        and not plan.finals
        and not plan.compensations
        and outcomes == EdgeOutcome.TAKEN.value * len(outcomes)
        and all(
            plan.nodes[edge.target].join.rule is Rule.ALL
            and plan.nodes[edge.target].join.losers is Losers.LET_RUN
            and not plan.nodes[edge.target].is_guarded
            for edge in plan.out(position)
        )
    )


def may_run_ahead(plan: Plan) -> bool:
    """Whether tasks of the plan may be run before the ends of their parents are recorded.

    Not where a join may cancel what has not begun, nor in runs that wait for each other: there the database
    must say first that a task is to run at all.
    """
    return plan.concurrency is None and not plan.has_losers
