"""A start as a part of a transaction: the version, the idempotency key, the turn, then the run itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from headrace.engine import turns
from headrace.engine.beginning import Beginning, begin
from headrace.engine.naming import Place, require_named
from headrace.engine.pinning import choose
from headrace.engine.program import Engine, Program
from headrace.errors import IdempotencyConflict, InvalidInput, NotFound
from headrace.graph.bodies import path_of_one
from headrace.graph.dispatch import Dispatch
from headrace.graph.holding import Debug
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.store import idempotency, workflows
from headrace.store.codec import dump
from headrace.store.db import Tx
from headrace.store.ids import new_id
from headrace.store.runs import ProgramKey


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What to start. key: an Idempotency-Key, or None. version: None for the current one.

    priority: None for the workflow's. origin: what started it. mocks: answers of nodes that are not run, by
    node id. debug: breakpoints and steps, see `headrace.graph.holding.Debug`. node: only this one, which gets
    the input as its own. run_id: None for a new one.
    """

    workflow_id: UUID
    input: JsonValue = None
    key: str | None = None
    version: int | None = None
    priority: int | None = None
    origin: JsonObject | None = None
    mocks: JsonObject | None = None
    debug: JsonObject | None = None
    node: str | None = None
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A run that was accepted, with the jobs of its roots to push. outdated: runs to cancel in its favour."""

    run_id: UUID
    dispatches: Sequence[Dispatch]
    outdated: Sequence[UUID] = ()


async def start_within(engine: Engine, request: StartRequest, tx: Tx) -> Started:
    """Starts a run within the caller's transaction. Until it commits, nothing may be pushed.

    Raises NotFound, InvalidInput when a root refuses the input, IdempotencyConflict when the key was used
    with another input, WrongState when the workflow lets no more runs start.
    """
    version = await workflows.current_version(tx, request.workflow_id)
    if version is None:
        raise NotFound("Workflow not found")
    run_id = request.run_id or new_id()
    if request.key is not None and (known := await _earlier(tx, request, run_id)):
        return Started(known, ())
    body = "" if request.node is None else path_of_one(request.node)
    key = ProgramKey(request.workflow_id, request.version or version, body)
    program = await engine.programs.one(tx, key)
    if request.mocks or request.debug:
        debug = Debug.read(request.debug)
        await require_named(engine, tx, Place(key, program), debug, request.mocks or {})
    require_input(program, request.input)
    turn = await turns.ask(tx, program.plan, request.workflow_id, request.input)
    new = Beginning(
        run_id,
        key,
        request.input,
        priority=request.priority,
        origin=request.origin,
        mocks=request.mocks,
        debug=request.debug,
        concurrency_key=turn.key,
        is_queued=turn.is_queued,
        pins=await choose(tx, program.stored, project=program.project),
    )
    return Started(run_id, await begin(tx, program, new), turn.outdated)


async def _earlier(tx: Tx, request: StartRequest, run_id: UUID) -> UUID | None:
    """The run that this key has started before, or None: then the key is now this run's."""
    digest = hashlib.sha256(dump(request.input).encode()).hexdigest()
    known = await idempotency.remember(tx, request.workflow_id, request.key or "", digest, run_id)
    if known is not None and known.digest != digest:
        raise IdempotencyConflict
    return None if known is None else known.run_id


def require_input(program: Program, run_input: JsonValue) -> None:
    """Raises InvalidInput when a root refuses the input of a run."""
    problems = [
        problem
        for position in program.plan.roots
        for problem in program.types[position].check_start(program.configs[position], run_input)
    ]
    if problems:
        raise InvalidInput("The input is not valid", problems)
