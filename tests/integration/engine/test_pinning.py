"""Runs whose activity nobody has: what it costs to look for it again, and who gets which version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from headrace.engine.activities import Upload, upload
from headrace.engine.pinning import PinnedSources, Sources
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.json_types import JsonObject
from headrace.nodes.lanes import Language
from headrace.sandbox.checked import Checked
from headrace.store.db import Database, Tx
from support.build import node, workflow
from support.drive import drain
from support.family import a_map, children_of, with_items
from support.rows import sql

pytestmark = pytest.mark.anyio

WAITS: JsonObject = {"nodes": [node("wait", "waitSignal", config={"signal": "go"})]}


class Watched(Database):
    """A database that knows how many runs each of its transactions had locked in the end."""

    def __init__(self, url: str, beside: Database) -> None:
        super().__init__(url)
        self._beside = beside
        self.locked: list[int] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with super().transaction() as tx:
            yield tx
            (all_runs,) = await sql(self._beside, "SELECT count(*)::int AS n FROM workflow_runs")
            free = await sql(self._beside, "SELECT id FROM workflow_runs FOR UPDATE SKIP LOCKED")
            self.locked.append(all_runs.n - len(free))


@pytest.fixture
def engine(db: Database) -> Engine:
    """The engine with the shipped node types, `script` and `item`."""
    return Engine.over(db, with_items())


@pytest.fixture
async def watched(database_url: str, db: Database) -> AsyncIterator[Watched]:
    one = Watched(database_url, db)
    yield one
    await one.close()


async def family(engine: Engine, body: JsonObject, children: int) -> list[UUID]:
    """A run with so many children that have begun, which stand at its head."""
    document = workflow([a_map("map", body, items=[*range(children)], maxConcurrency=children)], [])
    run = await start_run(engine, StartRequest(await create_workflow(engine, document)))
    await drain(engine, run.dispatches)
    return [run.run_id, *await children_of(engine, run.run_id)]


async def put(engine: Engine, source: str = "def run(): ...") -> str:
    async def anything(language: Language, source: str) -> Checked:
        return Checked((), ("run",))

    return (await upload(engine, Upload("greet", "python", source), anything)).hash


def sources(db: Database) -> PinnedSources:
    """As a process has them that knows of no pin."""
    return PinnedSources(db, Sources(), {})


async def pins(engine: Engine) -> list[str | None]:
    """Of all runs, the outermost first."""
    rows = await sql(engine.db, "SELECT pins->>'greet' AS hash FROM workflow_runs ORDER BY id")
    return [row.hash for row in rows]


@pytest.mark.parametrize("children", [2, 40])
async def test_who_looks_for_an_activity_that_nobody_has_locks_nothing(
    engine: Engine, watched: Watched, children: int
) -> None:
    runs = await family(engine, WAITS, children)
    for one in runs[:3]:
        assert not await sources(watched).adopt(one, "greet")
    assert watched.locked == [0, 0, 0]


async def test_who_finds_an_activity_locks_only_those_that_have_no_pin_yet(
    engine: Engine, watched: Watched
) -> None:
    runs = await family(engine, WAITS, 40)
    await put(engine)
    for one in (*runs[1:4], runs[1], runs[0]):
        assert await sources(watched).adopt(one, "greet")
    # The first child with its parent; then each child alone; then nobody.
    assert watched.locked == [2, 1, 1, 0, 0]


async def test_a_family_uses_the_version_that_its_first_run_found(engine: Engine) -> None:
    body = workflow([a_map("inner", WAITS, items=[1, 2], maxConcurrency=2)], [])
    runs = await family(engine, {"nodes": body["nodes"]}, 2)
    deep = [await children_of(engine, one) for one in runs[1:]]
    first = await put(engine)
    assert await sources(engine.db).adopt(deep[0][0], "greet")
    await put(engine, "def run(): 'newer'")
    for one in (*runs, *deep[0], *deep[1]):
        assert await sources(engine.db).adopt(one, "greet")
    assert await pins(engine) == [first] * 7


async def test_children_that_find_an_activity_at_once_use_one_version(engine: Engine) -> None:
    runs = await family(engine, WAITS, 8)
    await put(engine)

    async def edit() -> None:
        for number in range(8):
            await put(engine, f"def run(): {number}")

    finds = [sources(engine.db).adopt(one, "greet") for one in runs[1:]]
    _, *found = await asyncio.gather(edit(), *finds)
    assert all(found)
    assert len(set(await pins(engine))) == 1
