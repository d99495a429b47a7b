"""Pruning versions while runs begin: no run is lost, and none is refused."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from headrace.engine.program import Engine
from headrace.engine.save import create_workflow, update_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.engine.versions import prune_versions
from support.build import node, workflow

pytestmark = pytest.mark.anyio

ROUNDS = 40


async def test_a_run_that_begins_keeps_its_version(engine: Engine) -> None:
    workflow_id = await create_workflow(engine, workflow([node("a")], []))

    async def save_and_prune() -> int:
        pruned = 0
        for number in range(ROUNDS):
            await update_workflow(
                engine, workflow_id, workflow([node("a", config={"template": str(number)})], [])
            )
            pruned += len(await prune_versions(engine, workflow_id))
        return pruned

    async def start() -> list[UUID]:
        return [(await start_run(engine, StartRequest(workflow_id))).run_id for _ in range(ROUNDS)]

    _, *starts = await asyncio.gather(save_and_prune(), *(start() for _ in range(4)))
    runs = {run for some in starts for run in some}
    async with engine.db.connection() as tx:
        kept = await tx.fetch("SELECT id, version FROM workflow_runs")
        versions = {row.version for row in await tx.fetch("SELECT version FROM workflow_versions")}
    assert {row.id for row in kept} == runs
    assert {row.version for row in kept} <= versions
    await prune_versions(engine, workflow_id)
    async with engine.db.connection() as tx:
        assert len(await tx.fetch("SELECT id FROM workflow_runs")) == len(runs) == 4 * ROUNDS
