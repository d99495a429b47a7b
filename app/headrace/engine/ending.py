"""How a run ends, and who is told. The run is locked by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from headrace.engine import history, turns
from headrace.engine.program import Engine
from headrace.engine.starting import StartRequest, start_within
from headrace.errors import HeadraceError
from headrace.graph.culprits import NODE_FAILED
from headrace.graph.decide import is_unhandled, run_verdict
from headrace.graph.dispatch import Dispatch, Release
from headrace.graph.join import EdgeOutcome
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Verdict
from headrace.graph.plan import Plan
from headrace.graph.states import RunStatus
from headrace.store import again, events, run_reading, runs, workflows
from headrace.store.db import Tx
from headrace.store.runs import LockedRun

MOST_NAMED = 100
"""Failed nodes that a failure workflow is told of."""


async def finish(engine: Engine, tx: Tx, run: LockedRun, plan: Plan) -> list[Dispatch]:
    """Ends a run whose tasks have all ended; tells the task that it ran for, or its failure workflow."""
    decided = await verdict(tx, run, plan)
    reason = decided.reason or None
    await runs.finish(tx, run.id, decided.status, reason)
    await events.append(tx, history.run_ended(run.id, decided.status, reason))
    follows = await _next_turns(engine, tx, run.id, plan) if plan.concurrency else []
    if run.parent is not None:
        return [*follows, Release((run.parent,))]
    if decided.status is RunStatus.FAILED and plan.failure_workflow is not None:
        follows += await _start_failure_workflow(engine, tx, run.id, plan, plan.failure_workflow)
    return follows


async def _next_turns(engine: Engine, tx: Tx, run_id: UUID, plan: Plan) -> list[Dispatch]:
    run = await run_reading.get(tx, run_id)
    if run is None or run.concurrency_key is None or plan.concurrency is None:
        return []
    return await turns.next_turns(engine, tx, run.concurrency_key, plan.concurrency.limit)


async def verdict(tx: Tx, run: LockedRun, plan: Plan) -> Verdict:
    """How a run ends and why ('' for no reason), read after the lock and the last count."""
    known = await runs.verdict(tx, run.id)
    if known.early is RunStatus.FAILED:
        return Verdict(RunStatus.FAILED, known.reason or "")
    failures = await runs.failures(tx, run.id) if known.failed else []
    if await _is_said_by_node(tx, run, plan, known.early):  # what comes after its graph counts all the same
        failures = [one for one in failures if not plan.nodes[one.position].is_main]
    outcomes = {failure.position: failure.outcomes for failure in failures}
    met = await runs.met_joins(tx, run.id, _failed_targets(plan, outcomes))
    status = run_verdict(plan, outcomes, met, known.early is RunStatus.CANCELLED)
    if status is RunStatus.FAILED:
        culprit = next(one for one in failures if is_unhandled(plan, one.position, one.outcomes, met))
        return Verdict(status, NODE_FAILED % culprit.node_id)
    return Verdict(status, known.reason or "")


async def _unhandled(tx: Tx, run_id: UUID, plan: Plan) -> list[runs.Failure]:
    """The failures that nobody handled, in the order of the graph."""
    failures = await runs.failures(tx, run_id)
    outcomes = {failure.position: failure.outcomes for failure in failures}
    met = await runs.met_joins(tx, run_id, _failed_targets(plan, outcomes))
    return [one for one in failures if is_unhandled(plan, one.position, one.outcomes, met)]


async def _is_said_by_node(tx: Tx, run: LockedRun, plan: Plan, early: RunStatus | None) -> bool:
    """Whether a node decided that the run does not fail. A cancel by people does not decide that."""
    if early is RunStatus.CANCELLED:
        return await said_by_node(tx, run.id, plan) is not None
    return early is RunStatus.SUCCEEDED


async def said_by_node(tx: Tx, run_id: UUID, plan: Plan) -> Verdict | None:
    """What the first node of the graph said that ended the run; None when none did."""
    said = await again.endings(tx, run_id)
    return next((verdict for at, verdict in said.items() if plan.nodes[at].is_main), None)


def _failed_targets(plan: Plan, outcomes: Mapping[int, str]) -> list[int]:
    return sorted(
        {
            edge.target
            for position, letters in outcomes.items()
            for edge, letter in zip(plan.out(position), letters, strict=True)
            if letter == EdgeOutcome.FAILED
        }
    )


async def _start_failure_workflow(
    engine: Engine, tx: Tx, run_id: UUID, plan: Plan, name: str
) -> list[Dispatch]:
    """Starts the workflow that looks after failures. One that itself ran for a failure starts none."""
    run = await run_reading.get(tx, run_id)
    assert run is not None
    if isinstance(run.origin, dict) and "failureOf" in run.origin:
        return []
    try:
        request = StartRequest(
            await _workflow(tx, name, run.project),
            await _told(tx, run, plan),
            origin={"failureOf": str(run.id)},
        )
        # Runs in whose place this one begins are left to the sweep: other runs may not be locked here.
        started = await start_within(engine, request, tx)
    except HeadraceError as error:
        line = f"The failure workflow '{name}' was not started: {error.message}"
        await events.append(tx, [history.system_line(run_id, line)])
        return []
    line = f"Failure workflow '{name}' started as run {started.run_id}"
    await events.append(tx, [history.system_line(run_id, line)])
    return list(started.dispatches)


async def _told(tx: Tx, run: run_reading.Run, plan: Plan) -> JsonObject:
    """The input of a failure workflow: which run failed, how, and at which nodes."""
    stored = await workflows.get(tx, run.workflow_id, run.version)
    failed: list[JsonValue] = [
        {"id": one.node_id, "name": plan.nodes[one.position].name, "attempt": one.attempt, "error": one.error}
        for one in (await _unhandled(tx, run.id, plan))[:MOST_NAMED]
    ]
    return {
        "runId": str(run.id),
        "workflowId": str(run.workflow_id),
        "workflow": None if stored is None else stored.name,
        "version": run.version,
        "status": run.status.value,
        "reason": run.reason,
        "input": run.input,
        "failedNodes": failed,
    }


async def _workflow(tx: Tx, name: str, project: str) -> UUID:
    found = await workflows.named(tx, name, project)
    if len(found) != 1:
        raise HeadraceError(f"{len(found)} workflows have this name or id")
    return found[0]
