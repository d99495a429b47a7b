"""The dependency check: what ended tasks release. One transaction for all runs of a batch.

Run twice, nothing happens: a task is propagated once, under its run's lock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

from headrace.engine import history
from headrace.engine.children import look
from headrace.engine.closing import count_and_close, stop_rest
from headrace.engine.control import pause_below
from headrace.engine.halving import spared
from headrace.engine.holding import hold_back, pause, unpaused
from headrace.engine.program import Engine, Program
from headrace.engine.stopping import fail_run, stop_dispatches
from headrace.graph.decide import Cascade, FailureCare, failure_care, released_by
from headrace.graph.dispatch import Dispatch
from headrace.graph.ids import TaskId
from headrace.graph.join import EdgeOutcome
from headrace.graph.outcome import Verdict
from headrace.graph.settings import OnFailure
from headrace.graph.states import RunStatus, TaskStatus
from headrace.log import Log
from headrace.store import events, releases, runs
from headrace.store.db import Tx
from headrace.store.releases import Cancelled, Propagated
from headrace.store.runs import LockedRun
from headrace.store.tasks import Queued

_log = Log("headrace.engine")
_FAST = "a node failed and the workflow fails fast"
_PAUSED = "a node failed and the workflow pauses on failure"
_PAUSED_ABOVE = "a node failed in the run that this one runs for, whose workflow pauses on failure"


async def release(engine: Engine, tasks: Sequence[TaskId]) -> list[Dispatch]:
    """Tells the successors of ended tasks; returns the jobs of those that are ready. Looks after children.

    A run that a failure pauses pauses those below it, as if somebody had asked for it. A run whose release
    cannot be decided or written fails with EngineError; the others go on.
    """

    async def work(groups: Sequence[list[TaskId]]) -> list[tuple[list[Dispatch], list[UUID]]]:
        tasks = [task for group in groups for task in group]
        return [await engine.db.transact(partial(_release, engine, tasks))]

    async def give_up(group: list[TaskId], error: Exception) -> None:
        _log.exception("release_failed", run=str(group[0].run_id))
        await fail_run(engine, group[0].run_id, f"EngineError: {error}")

    dispatches: list[Dispatch] = []
    for follows, paused in await spared(list(_by_run(tasks).values()), work, give_up):
        dispatches += follows
        for run_id in paused:
            dispatches += await pause_below(engine, run_id, _PAUSED_ABOVE)
    return dispatches + await look(engine, tasks)


async def release_within(engine: Engine, tasks: Sequence[TaskId], tx: Tx) -> list[Dispatch]:
    """As `release`, as a part of a transaction of the caller's."""
    return (await _release(engine, tasks, tx))[0] if tasks else []


@dataclass(slots=True)
class _Step:
    """One run in a release: what ended, what follows, what was stopped."""

    run: LockedRun
    program: Program
    propagated: list[Propagated]
    cascade: Cascade
    stopped: list[Cancelled] = field(default_factory=list)

    @property
    def ended(self) -> Counter[TaskStatus]:
        counts = Counter(one.status for one in self.propagated)
        counts.update(one.status for one in self.cascade.decision.ended.values())
        return counts


async def _release(engine: Engine, tasks: Sequence[TaskId], tx: Tx) -> tuple[list[Dispatch], list[UUID]]:
    """Returns what to push, and the runs that a failure paused."""
    locked = await runs.lock(tx, [task.run_id for task in tasks])
    propagated = await releases.propagate(tx, [task for task in tasks if task.run_id in locked])
    steps = await _steps(engine, tx, locked, propagated)
    await _cascade(tx, steps)
    queued = await releases.move(tx, await _moves(tx, steps))
    await events.append(tx, [*_ended_events(steps), *history.queued(queued)])
    paused, withdrawn = await _pause_failed(tx, steps)
    going = {**locked, **paused}
    queued = await hold_back(tx, going, queued)
    counts = {step.run.id: step.ended for step in steps}
    for step in steps:
        if (verdict := _early_verdict(step)) is not None:
            going[step.run.id] = await unpaused(tx, going[step.run.id])
            rest = await stop_rest(tx, step.run, step.program, verdict)
            counts[step.run.id][TaskStatus.CANCELLED] += len(rest)
            step.stopped += rest
    programs = {step.run.id: step.program for step in steps}
    follows = await count_and_close(engine, tx, going, programs, counts)
    still_paused = [run_id for run_id in paused if going[run_id].status is RunStatus.PAUSED]
    return withdrawn + _dispatches(steps, queued) + follows, still_paused


async def _steps(
    engine: Engine, tx: Tx, locked: Mapping[UUID, LockedRun], propagated: Sequence[Propagated]
) -> list[_Step]:
    ended: dict[UUID, list[Propagated]] = defaultdict(list)
    for one in propagated:
        ended[one.task.run_id].append(one)
    programs = await engine.programs.load(tx, [locked[run_id].program for run_id in ended])
    steps = []
    for run_id, group in sorted(ended.items()):
        program = programs[locked[run_id].program]
        cascade = Cascade(program.plan, {one.task.position: one.outcomes for one in group})
        steps.append(_Step(locked[run_id], program, group, cascade))
    return steps


async def _cascade(tx: Tx, steps: Sequence[_Step]) -> None:
    """Loads what the cascades ask for until all is decided; one query a wave for all runs."""
    while not all(step.cascade.is_decided for step in steps):
        wanted = {
            TaskId(step.run.id, position): len(step.program.plan.nodes[position].in_edges)
            for step in steps
            for position in step.cascade.missing()
        }
        found = await releases.views(tx, wanted) if wanted else {}
        if len(found) < len(wanted):
            raise LookupError(f"there is no task {min(wanted.keys() - found.keys())}")
        for step in steps:
            run_id = step.run.id
            step.cascade.load({task.position: view for task, view in found.items() if task.run_id == run_id})
        await _cancel_losers(tx, steps)


async def _cancel_losers(tx: Tx, steps: Sequence[_Step]) -> None:
    """Cancels what met joins no longer wait for."""
    for step in steps:
        losers = step.cascade.losers()
        if losers:
            nodes = step.program.plan.nodes
            letters = {
                position: EdgeOutcome.CANCELLED.value * len(nodes[position].out_edges) for position in losers
            }
            lost = await releases.cancel(
                tx, step.run.id, letters, "a join that was met no longer waits for it"
            )
            step.stopped += lost
            step.cascade.cancelled({one.task.position: losers[one.task.position] for one in lost})


async def _moves(tx: Tx, steps: Sequence[_Step]) -> list[releases.Move]:
    known = await _known_outcomes(tx, steps)
    moves = []
    for step in steps:
        decision, plan, run_id = step.cascade.decision, step.program.plan, step.run.id
        ready = set(decision.ready)
        for position in sorted(decision.tallies.keys() | ready | decision.ended.keys()):
            edges = released_by(plan, position, known[run_id]) if position in ready else None
            task = TaskId(run_id, position)
            ended = decision.ended.get(position)
            moves.append(releases.Move(task, decision.tallies.get(position), edges, ended))
    return moves


async def _known_outcomes(tx: Tx, steps: Sequence[_Step]) -> dict[UUID, dict[int, str]]:
    """Outcomes of all parents of the ready tasks; those of this release are at hand."""
    known: dict[UUID, dict[int, str]] = {}
    missing: list[TaskId] = []
    for step in steps:
        here = {one.task.position: one.outcomes for one in step.propagated}
        here |= {position: ended.outcomes for position, ended in step.cascade.decision.ended.items()}
        known[step.run.id] = here
        parents = {
            edge.source for ready in step.cascade.decision.ready for edge in step.program.plan.into(ready)
        }
        missing += [TaskId(step.run.id, position) for position in sorted(parents - here.keys())]
    for task, letters in (await releases.outcomes(tx, missing) if missing else {}).items():
        known[task.run_id][task.position] = letters
    return known


async def _pause_failed(tx: Tx, steps: Sequence[_Step]) -> tuple[Mapping[UUID, LockedRun], list[Dispatch]]:
    """Pauses the runs whose workflows ask for it when a failure is not handled, and returns them so."""
    paused: dict[UUID, LockedRun] = {}
    dispatches: list[Dispatch] = []
    for step in steps:
        wants_pause = step.program.plan.on_failure is OnFailure.PAUSE and step.run.phase == "main"
        if wants_pause and step.run.status is RunStatus.RUNNING and _is_unhandled(step):
            dispatches += await pause(tx, step.run, _PAUSED)
            paused[step.run.id] = replace(step.run, status=RunStatus.PAUSED)
    return paused, dispatches


def _early_verdict(step: _Step) -> Verdict | None:
    """How the run ends now, because a node said so or because a failure is not handled."""
    if step.run.verdict is not None or step.run.phase != "main":
        return None
    said = next((one for one in step.propagated if one.ends_run is not None), None)
    if said is not None and said.ends_run is not None:
        return Verdict(said.ends_run, said.reason or f"node '{said.node_id}' ended the run")
    fails_fast = step.program.plan.on_failure is OnFailure.FAIL_FAST and _is_unhandled(step)
    return Verdict(RunStatus.FAILED, _FAST) if fails_fast else None


def _is_unhandled(step: _Step) -> bool:
    """Whether one of the failures of this release is surely nobody's to handle."""
    plan = step.program.plan
    spread = any(one.status is TaskStatus.UPSTREAM_FAILED for one in step.cascade.decision.ended.values())
    return spread or any(
        one.status is TaskStatus.FAILED
        and failure_care(plan, one.task.position, one.outcomes) is FailureCare.UNHANDLED
        for one in step.propagated
    )


def _ended_events(steps: Sequence[_Step]) -> list[events.Event]:
    return [
        history.task(
            TaskId(step.run.id, position),
            step.program.plan.nodes[position].id,
            ended.status,
            reason=ended.reason,
            causedBy=ended.caused_by,
        )
        for step in steps
        for position, ended in sorted(step.cascade.decision.ended.items())
    ]


def _dispatches(steps: Sequence[_Step], queued: Sequence[Queued]) -> list[Dispatch]:
    stopped = [one for step in steps for one in step.stopped]
    gone = {one.task for one in stopped}
    jobs: list[Dispatch] = [one.dispatch() for one in queued if one.task not in gone]
    return jobs + stop_dispatches(stopped)


def _by_run(tasks: Sequence[TaskId]) -> dict[UUID, list[TaskId]]:
    groups: dict[UUID, list[TaskId]] = defaultdict(list)
    for task in tasks:
        groups[task.run_id].append(task)
    return groups
