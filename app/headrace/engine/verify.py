"""Whether a live system keeps its promise: every release is decided again from what is stored."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.graph.bodies import body_at
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
        keys = {run.program for run in runs}
        pinned = await workflows.pinned(tx, sorted({(key.workflow_id, key.version) for key in keys}))
    parsed = {version: parse(frozen.definition) for version, frozen in pinned.items()}
    plans = {key: make_plan(body_at(parsed[key.workflow_id, key.version], key.body)) for key in keys}
    complaints: dict[str, list[str]] = {}
    for run in runs:
        for complaint, example in _complaints(run, plans[run.program]):
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
    verdict = decide_join(node.join, tally)
    if task.status is TaskStatus.PENDING:
        yield from _of_pending(task, tally, verdict)
    elif task.status in _DECIDED:
        if verdict is not _DECIDED[task.status]:
            yield "A task was skipped, or failed by its parents, against its join"
    elif not _has_new_parents(run, plan, node):
        yield from _of_released(run, plan, node, verdict)


def _may_begin(run: RunFacts, plan: Plan, node: PlanNode, task: TaskFacts) -> bool:
    if node.is_main:
        return task.status is not TaskStatus.PENDING
    if not node.is_final:  # a compensation, which may have its turn yet in the phase of its own
        return task.status is TaskStatus.PENDING or run.phase != "main"
    main_has_ended = all(run.tasks[other.position].propagated for other in plan.nodes if not other.is_final)
    return (task.status is TaskStatus.PENDING) != (main_has_ended and run.phase == "finally")


def _of_pending(task: TaskFacts, tally: Tally, verdict: Verdict | None) -> Iterator[str]:
    if task.counted != (tally.unresolved, tally.taken, tally.failed, tally.cancelled):
        yield "The counters of a task differ from its parents' outcomes"
    if verdict is not None:
        yield "A task is pending although its join is decided"


def _of_released(run: RunFacts, plan: Plan, node: PlanNode, verdict: Verdict | None) -> Iterator[str]:
    """Outcomes are written once between retries, so a join that was met at its release stays so."""
    task = run.tasks[node.position]
    if task.status is not TaskStatus.CANCELLED and verdict is not Verdict.RUN:
        yield "A task was released although its join is not met"
    if any(not _was_taken(run, plan, node, index) for index in task.released_by or ()):
        yield "A task was released by an edge that was not taken"


def _has_new_parents(run: RunFacts, plan: Plan, node: PlanNode) -> bool:
    """Whether a retry in place ran parents of a task again that it was released by: it does not look back."""
    decided = run.tasks[node.position].decided
    return any(run.tasks[edge.source].reopened > decided > 0 for edge in plan.into(node.position))


def _was_taken(run: RunFacts, plan: Plan, node: PlanNode, index: int) -> bool:
    edge = plan.edges[index]
    return edge.target == node.position and _letter(run, edge.source, edge.slot) == EdgeOutcome.TAKEN


def _tally(run: RunFacts, plan: Plan, node: PlanNode) -> Tally:
    tally = Tally.fresh(len(node.in_edges))
    for edge in plan.into(node.position):
        letter = _letter(run, edge.source, edge.slot)
        if letter is not None:
            tally = tally.add(EdgeOutcome(letter))
    return tally


def _letter(run: RunFacts, source: int, slot: int) -> str | None:
    """How an edge resolved; None before its source's end was followed up, or when it says nothing of it."""
    task = run.tasks[source]
    return (task.outcomes or "")[slot : slot + 1] or None if task.propagated else None
