"""Deleting runs that have ended, each with the runs of its maps, loops and sub-workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from uuid import UUID

from headrace.engine.program import Engine
from headrace.errors import HeadraceError, NotFound, WrongState
from headrace.graph.states import RUN_ENDED
from headrace.store import deletions
from headrace.store.db import Tx
from headrace.store.deletions import Kin

AT_ONCE = 50
"""Runs that go in one transaction, each with all that are below it."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """deleted: the runs that are gone, without those below them. refused: why the others stay."""

    deleted: Sequence[UUID]
    refused: Mapping[UUID, HeadraceError]


async def delete_run(engine: Engine, run_id: UUID) -> None:
    """Deletes a run that has ended, with all that is stored of it and of the runs below it.

    Runs that use its results again have copies. Raises NotFound, and WrongState while it, one below it or one
    that it runs for goes on.
    """
    for refusal in (await delete_runs(engine, [run_id])).refused.values():
        raise refusal


async def delete_runs(engine: Engine, run_ids: Sequence[UUID]) -> Deletion:
    """Deletes those of the runs that may go; what one refuses stops no other.

    When PostgreSQL goes away in between, StoreUnavailable is raised; what was deleted stays so.
    """
    refused: dict[UUID, HeadraceError] = {}
    for first in range(0, len(run_ids), AT_ONCE):
        refused |= await engine.db.transact(partial(_delete, run_ids[first : first + AT_ONCE]))
    return Deletion([run_id for run_id in run_ids if run_id not in refused], refused)


async def _delete(run_ids: Sequence[UUID], tx: Tx) -> dict[UUID, HeadraceError]:
    """Returns why some of them stay."""
    await deletions.lock(tx, run_ids)
    found = await deletions.kin(tx, run_ids)
    refusals = {run_id: _refusal(found.get(run_id)) for run_id in run_ids}
    going = [kin.family for run_id, kin in found.items() if refusals[run_id] is None]
    await deletions.delete(tx, sorted(set(chain.from_iterable(going))))
    return {run_id: refusal for run_id, refusal in refusals.items() if refusal is not None}


def _refusal(kin: Kin | None) -> HeadraceError | None:
    """Why a run may not be deleted; None when it may."""
    if kin is None:
        return NotFound("Workflow run not found")
    if kin.status not in RUN_ENDED:
        return WrongState(f"The run has not ended, it is {kin.status}: cancel it first")
    if kin.above is not None:
        return WrongState(f"The run belongs to run {kin.above}, which has not ended: cancel that one first")
    if kin.below is not None:
        return WrongState(f"Run {kin.below}, which runs for it, has not ended: cancel that one first")
    if kin.is_news:
        return WrongState("The run has only just ended, and the one that it ran for does not know: try again")
    return None
