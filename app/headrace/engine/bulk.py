"""The same for many runs: what one of them refuses leaves the others alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from headrace.engine.again import Rerun, rerun, retry_run
from headrace.engine.control import cancel_run
from headrace.engine.deleting import delete_runs
from headrace.engine.program import Engine
from headrace.errors import HeadraceError, StoreUnavailable
from headrace.graph.dispatch import Dispatch
from headrace.graph.states import RunStatus
from headrace.store import run_reading


class BulkAction(StrEnum):
    """What is done to each run."""

    CANCEL = "cancel"
    RETRY = "retry"
    RERUN = "rerun"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What to do to which runs, oldest first. is_dry: only find them. limit: how many at most.

    Those that started in [after, before); None for no such bound.
    """

    action: BulkAction
    workflow_id: UUID | None = None
    status: RunStatus | None = None
    after: datetime | None = None
    before: datetime | None = None
    limit: int = 100
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A run to which it could not be done, and why."""

    run_id: UUID
    message: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """matched: the runs that were found. done: those to which it was done. created: the new runs."""

    matched: Sequence[UUID]
    done: Sequence[UUID]
    refused: Sequence[Refusal]
    created: Sequence[UUID]
    dispatches: Sequence[Dispatch]


async def act_on_many(engine: Engine, request: BulkRequest) -> BulkResult:
    """Does it to every run that matches; what one of them refuses is told and stops nobody else.

    When PostgreSQL goes away in between, StoreUnavailable is raised; what was done stays done.
    """
    async with engine.db.transaction() as tx:
        found = await run_reading.matching(
            tx, request.workflow_id, request.status, (request.after, request.before), request.limit
        )
    if request.is_dry:
        return BulkResult(found, [], [], [], [])
    if request.action is BulkAction.DELETE:
        return await _delete(engine, found)
    return await _act(engine, request.action, found)


async def _delete(engine: Engine, runs: Sequence[UUID]) -> BulkResult:
    """Many in one transaction."""
    deletion = await delete_runs(engine, runs)
    refused = [Refusal(run_id, error.message) for run_id, error in deletion.refused.items()]
    return BulkResult(runs, deletion.deleted, refused, [], [])


async def _act(engine: Engine, action: BulkAction, runs: Sequence[UUID]) -> BulkResult:
    """Each in a transaction of its own."""
    done: list[UUID] = []
    refused: list[Refusal] = []
    created: list[UUID] = []
    dispatches: list[Dispatch] = []
    for run_id in runs:
        try:
            new, follows = await _ACTIONS[action](engine, run_id)
        except StoreUnavailable:
            raise
        except HeadraceError as error:
            refused.append(Refusal(run_id, error.message))
        else:
            done.append(run_id)
            created += [] if new is None else [new]
            dispatches += follows
    return BulkResult(runs, done, refused, created, dispatches)


async def _cancel(engine: Engine, run_id: UUID) -> tuple[None, Sequence[Dispatch]]:
    return None, await cancel_run(engine, run_id)


async def _retry(engine: Engine, run_id: UUID) -> tuple[None, Sequence[Dispatch]]:
    return None, await retry_run(engine, run_id)


async def _rerun(engine: Engine, run_id: UUID) -> tuple[UUID, Sequence[Dispatch]]:
    reran = await rerun(engine, Rerun(run_id))
    return reran.run_id, reran.dispatches


_ACTIONS: dict[BulkAction, Callable[[Engine, UUID], Awaitable[tuple[UUID | None, Sequence[Dispatch]]]]] = {
    BulkAction.CANCEL: _cancel,
    BulkAction.RETRY: _retry,
    BulkAction.RERUN: _rerun,
}
