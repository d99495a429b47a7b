"""A run from its start to its end, through the engine on a real PostgreSQL."""

from __future__ import annotations

import pytest

from headrace.engine.program import Engine
from support.build import chain, edge, if_else, node, workflow
from support.drive import run_to_end, status_of, statuses_of, tasks_of

pytestmark = pytest.mark.anyio


async def test_a_chain_ends_with_every_node_completed(engine: Engine) -> None:
    run_id = await run_to_end(engine, chain(5), {"who": "Ada"})
    assert await status_of(engine, run_id) == "succeeded"
    tasks = await tasks_of(engine, run_id)
    assert [task.status.value for task in tasks.values()] == ["completed"] * 5
    assert [task.output for task in tasks.values()] == [{"who": "Ada"}] * 5


async def test_a_diamond_after_ifelse_joins_with_one_branch_skipped(engine: Engine) -> None:
    document = workflow(
        [node("a"), if_else("if", "n", 5), node("hot"), node("cold"), node("join")],
        [
            edge("a", "if"),
            edge("if", "hot", "out-true"),
            edge("if", "cold", "out-false"),
            edge("hot", "join"),
            edge("cold", "join"),
        ],
    )
    run_id = await run_to_end(engine, document, {"n": 9})
    assert await status_of(engine, run_id) == "succeeded"
    assert await statuses_of(engine, run_id) == {
        "a": "completed",
        "if": "completed",
        "hot": "completed",
        "cold": "skipped",
        "join": "completed",
    }
