"""What must be so before traffic makes sense."""

from __future__ import annotations

from headrace.api.deps import House
from headrace.api.schemas import Model
from headrace.errors import StoreUnavailable
from headrace.graph.project import DEFAULT_PROJECT
from headrace.store import templates, worker_targets, workers
from headrace.store.schema import is_current


class Check(Model):
    """One thing that must be so."""

    name: str
    ok: bool
    detail: str = ""


async def checks(house: House) -> list[Check]:
    """The checks in the order in which a start passes them; what cannot be asked yet is left out."""
    db = house.engine.db
    try:
        if not await is_current(db):
            return [Check(name="schema", ok=False, detail="run `headrace migrate`")]
        async with db.transaction() as tx:
            is_loaded = await templates.are_loaded(tx)
            wanted = await worker_targets.target(tx) or 0
            running = await workers.count_running(tx, DEFAULT_PROJECT)
    except StoreUnavailable as error:
        return [Check(name="postgres", ok=False, detail=error.message)]
    return [
        Check(name="schema", ok=True),
        Check(name="samples", ok=is_loaded),
        Check(name="workers", ok=running >= wanted, detail=f"{running} of {wanted} run"),
    ]
