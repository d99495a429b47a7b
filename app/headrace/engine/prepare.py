"""Making a claimed task ready to run: its program, its input, the names of its templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from uuid import UUID

from headrace.engine.child_results import child_results
from headrace.engine.pinning import PinnedSources
from headrace.engine.program import Engine, KnownRun, Program
from headrace.engine.revealing import reveal
from headrace.errors import HeadraceError, TooLarge
from headrace.graph.ids import TaskId
from headrace.graph.inputs import Result, needed, node_scope, taken_into
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed
from headrace.graph.plan import PlanNode
from headrace.graph.redaction import Redaction
from headrace.graph.template import Scope
from headrace.nodes.base import LogLine
from headrace.nodes.stored_sources import NO_SOURCES, StoredSources
from headrace.store import results, run_reading, variables
from headrace.store.claims import Claim
from headrace.store.db import Database, Tx
from headrace.store.payloads import INLINE_LIMIT
from headrace.store.recovery import CHILDREN, RETRY


@dataclass(slots=True)
class Execution:
    """A claimed task with all that its node needs. failure: why it cannot even begin.

    cancelled: set when its code should end by itself, or is stopped. redaction: of the secrets that it knows.
    """

    claim: Claim
    run: KnownRun
    scope: Scope
    db: Database
    failure: Failed | None = None
    log: list[LogLine] = field(default_factory=list)
    cancelled: Event = field(default_factory=Event)
    redaction: Redaction | None = None

    @property
    def is_resumed(self) -> bool:
        """Whether the node goes on after a wait of its own."""
        return self.claim.waits_for not in (None, RETRY)

    def say(self, kind: str, message: str) -> None:
        """Writes a line into the run's log, committed with the settlement."""
        self.log.append(LogLine("info", kind, message))

    @property
    def task(self) -> TaskId:
        return self.claim.task

    @property
    def program(self) -> Program:
        return self.run.program

    @property
    def node(self) -> PlanNode:
        return self.program.plan.nodes[self.task.position]


async def prepare(
    engine: Engine, tx: Tx, claimed: Sequence[Claim], at_hand: Mapping[TaskId, Result] | None = None
) -> list[Execution]:
    """Loads what claimed tasks need. at_hand: results that need not be loaded."""
    if not claimed:
        return []
    known = await known_runs(engine, tx, {one.task.run_id for one in claimed})
    found = dict(at_hand or {})
    missing = _needed(claimed, known) - found.keys()
    found |= await results.results(tx, sorted(missing))
    told = [one.task for one in claimed if one.waits_for == CHILDREN and one.wake is not None]
    news = await child_results(engine, tx, told) if told else {}
    executions = [
        _told(execution_of(engine.db, one, known[one.task.run_id], found), news.get(one.task))
        for one in claimed
    ]
    await _name_variables(tx, [one for one in executions if one.node.uses_variables])
    await reveal(engine.seal, tx, [one for one in executions if one.node.secrets])
    return executions


async def _name_variables(tx: Tx, executions: Sequence[Execution]) -> None:
    """Gives templates the run's variables as `vars`, where they are named."""
    for owner in {str(one.run.names["rootId"]) for one in executions}:
        values = await variables.of_owner(tx, "run", owner)
        for one in executions:
            if one.run.names["rootId"] == owner:
                one.scope = Scope(one.scope.input, {**one.scope.names, "vars": values})


def _told(execution: Execution, news: JsonValue | TooLarge) -> Execution:
    """With what its children answered, if it waited for them."""
    if isinstance(news, TooLarge):
        execution.failure = Failed(news.message, kind=news.code, retryable=False)
    elif news is not None:
        execution.claim = replace(execution.claim, wake=news)
    return execution


async def known_runs(engine: Engine, tx: Tx, run_ids: Iterable[UUID]) -> dict[UUID, KnownRun]:
    """What never changes about runs; read once for each."""
    known = {run_id: run for run_id in run_ids if (run := engine.runs.get(run_id))}
    missing = sorted(set(run_ids) - known.keys())
    if missing:
        contexts = await run_reading.contexts(tx, missing)
        programs = await engine.programs.load(tx, [context.program for context in contexts.values()])
        bodies = [context.id for context in contexts.values() if context.parent_run_id and context.body]
        outermost = await run_reading.outermost(tx, bodies) if bodies else {}
        for run_id, context in contexts.items():
            mocks = context.mocks if isinstance(context.mocks, dict) else {}
            is_body = context.parent_run_id is not None and bool(context.body)
            program = programs[context.program]
            known[run_id] = KnownRun(
                program=program,
                names=run_names(context, outermost.get(run_id, run_id)),
                mocks=mocks,
                is_child=context.parent_run_id is not None,
                is_body=is_body,
                stored=_stored(engine, program, context.pins),
            )
            if context.input_size <= INLINE_LIMIT:
                engine.runs.keep(run_id, known[run_id])
    return known


def _stored(engine: Engine, program: Program, pins: dict[str, str]) -> StoredSources:
    if pins or program.stored or program.lacks:
        return PinnedSources(engine.db, engine.sources, pins, program.project)
    return NO_SOURCES


def _needed(claimed: Sequence[Claim], known: Mapping[UUID, KnownRun]) -> set[TaskId]:
    return {
        TaskId(one.task.run_id, position)
        for one in claimed
        for position in needed(known[one.task.run_id].program.plan, one.task.position, one.released_by)
    }


def execution_of(db: Database, claimed: Claim, run: KnownRun, found: Mapping[TaskId, Result]) -> Execution:
    """A claimed task with its input and names. found: at least the results that these need."""
    plan, (run_id, position) = run.program.plan, claimed.task
    positions = needed(plan, position, claimed.released_by)
    inputs = {one: found[TaskId(run_id, one)] for one in positions}
    taken = taken_into(plan, position, claimed.released_by, inputs)
    try:
        scope = node_scope(plan, position, taken, inputs, run.names)
        return Execution(claimed, run, _in_body(scope, run.names) if run.is_body else scope, db)
    except HeadraceError as error:
        failure = Failed(error.message, kind=error.code, retryable=False)
        return Execution(claimed, run, Scope(None, {}), db, failure)


def _in_body(scope: Scope, run: JsonObject) -> Scope:
    """In a body, `item`, `index` and the other things that its run was given are names everywhere."""
    given = run.get("input")
    return Scope(scope.input, {**given, **scope.names}) if isinstance(given, dict) else scope


def run_names(context: run_reading.RunContext, outermost: UUID) -> JsonObject:
    """What `run` is in templates and conditions. outermost: the run whose body this one runs, or itself."""
    return {
        "id": str(context.id),
        "rootId": str(outermost),
        "workflowId": str(context.workflow_id),
        "version": context.version,
        "input": context.input,
        "startedAt": context.started_at.isoformat(),
    }
