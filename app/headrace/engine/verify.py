"""Whether a live system keeps its promise: every release is decided again from what is stored."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.graph.definition import parse
from headrace.graph.ids import TaskId
from headrace.graph.join import EdgeOutcome, Tally, Verdict, decide_join
from headrace.graph.plan import Plan, PlanNode, make_plan
from headrace.graph.states import ENDED, TaskStatus
from headrace.store import invariants, workflows
from headrace.store.db import Database
from headrace.store.invariants import Finding, RunFacts, TaskFacts

SAMPLE = 500
"""How many runs, the newest, are decided again."""

_DECIDED = {
    TaskStatus.SKIPPED: Verdict.SKIP,
    TaskStatus.UPSTREAM_FAILED: Verdict.UPSTREAM_FAILED,
}


async def verify(db: Database) -> list[Finding]:
    """All that is broken; an empty list when nothing is. Only reads, and may be asked at any time.

    The sound ones of the newest SAMPLE runs are decided again from their tasks' stored outcomes.
    """
    return [*await invariants.findings(db), *await _decided_again(db)]


async def _decided_again(db: Database) -> list[Finding]:
    async with db.transaction() as tx:
        runs = await invariants.latest_runs(tx, SAMPLE)
        pinned = await workflows.pinned(tx, sorted({run.version for run in runs}))
    plans = {version: make_plan(parse(definition)) for version, definition in pinned.items()}
    complaints: dict[str, list[str]] = {}
    for run in runs:
        for complaint, example in _complaints(run, plans[run.version]):
            complaints.setdefault(complaint, []).append(example)
    return [
        Finding("decided_again", complaint, len(examples), min(examples))
        for complaint, examples in complaints.items()
    ]


def _complaints(run: RunFacts, plan: Plan) -> Iterator[tuple[str, str]]:
    if run.tasks.keys() != {node.position for node in plan.nodes}:
        yield "A run has not one task for each node of its plan", str(run.id)
        return
    for node in plan.nodes:
        for complaint in _of_task(run, plan, node):
            yield complaint, str(TaskId(run.id, node.position))


def _of_task(run: RunFacts, plan: Plan, node: PlanNode) -> Iterator[str]:
    task = run.tasks[node.position]
    if task.status in ENDED and len(task.outcomes or "") != len(node.out_edges):
        yield "An ended task has not one outcome for each edge out of it"
    if not node.in_edges:
        if not _may_begin(run, plan, node, task):
            yield "A task stands where it cannot be before the others have ended"
        return
    tally = _tally(run, plan, node)
    if task.status is TaskStatus.PENDING:
        yield from _of_pending(node, task, tally)
    elif task.released_by is not None:
        yield from _of_released(run, plan, node, task.released_by)
    elif task.status not in _DECIDED and task.status is not TaskStatus.CANCELLED:
        yield "A task runs that nothing has released"
    if task.status in _DECIDED and decide_join(node.join, tally) is not _DECIDED[task.status]:
        yield "A task was skipped, or failed by its parents, against its join"


def _may_begin(run: RunFacts, plan: Plan, node: PlanNode, task: TaskFacts) -> bool:
    if not node.is_final:
        return task.status is not TaskStatus.PENDING
    main_has_ended = all(run.tasks[other.position].propagated for other in plan.nodes if not other.is_final)
    return (task.status is TaskStatus.PENDING) != (main_has_ended and run.phase == "finally")


def _of_pending(node: PlanNode, task: TaskFacts, tally: Tally) -> Iterator[str]:
    if task.counted != (tally.unresolved, tally.taken, tally.failed, tally.cancelled):
        yield "The counters of a task differ from its parents' outcomes"
    if decide_join(node.join, tally) is not None:
        yield "A task is pending although its join is decided"


def _of_released(run: RunFacts, plan: Plan, node: PlanNode, released_by: tuple[int, ...]) -> Iterator[str]:
    """Outcomes are written once, so a join that was met at its release is met for ever."""
    if decide_join(node.join, _tally(run, plan, node)) is not Verdict.RUN:
        yield "A task was released although its join is not met"
    for index in released_by:
        edge = plan.edges[index]
        if edge.target != node.position or _letter(run, edge.source, edge.slot) != EdgeOutcome.TAKEN:
            yield "A task was released by an edge that was not taken"


def _tally(run: RunFacts, plan: Plan, node: PlanNode) -> Tally:
    tally = Tally.fresh(len(node.in_edges))
    for edge in plan.into(node.position):
        letter = _letter(run, edge.source, edge.slot)
        if letter is not None:
            tally = tally.add(EdgeOutcome(letter))
    return tally


def _letter(run: RunFacts, source: int, slot: int) -> str | None:
    """How an edge resolved; None before its source's end was followed up."""
    task = run.tasks[source]
    return task.outcomes[slot] if task.propagated and task.outcomes else None
