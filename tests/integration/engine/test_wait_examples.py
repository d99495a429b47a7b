"""The examples of the node types that wait, walked through in the test's own process."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from headrace.engine.program import Engine
from headrace.graph.json_types import JsonObject
from headrace.testing import Bench, RunResult
from support.project import read

pytestmark = pytest.mark.anyio


@pytest.fixture
def b(engine: Engine) -> Bench:
    return Bench(engine)


def example(file: str) -> JsonObject:
    document: JsonObject = json.loads(read(f"examples/nodes/{file}"))
    return document


def said(result: RunResult) -> list[str]:
    """What the notifications of a run that succeeded wrote."""
    assert result.status == "succeeded"
    return [line.text for line in result.log if line.kind == "notification"]


async def test_approval(b: Bench) -> None:
    payment: JsonObject = {"amount": 90, "payee": "Bob"}
    approved = await b.start(example("approval.json"), payment)
    left = await b.start(example("approval.json"), payment)

    await b.clock.skip(days=1)
    await b.approve(approved, "ask", "approve", {"remark": "fine"}, by="Ada")
    await b.clock.skip(days=2)

    assert said(await b.result(approved)) == ["Paid 90 EUR, approved by Ada"]
    assert said(await b.result(left)) == ["Not paid"]


async def test_wait_signal(b: Bench) -> None:
    paid = await b.start(example("wait-signal.json"), {"order": 7})
    unpaid = await b.start(example("wait-signal.json"), {"order": 8})

    await b.clock.skip(days=13)
    await b.signal(paid, "paid", {"amount": 12})
    await b.clock.skip(days=1)

    assert said(await b.result(paid)) == ["12 EUR came: shipping order 7"]
    assert said(await b.result(unpaid)) == ["Nobody paid order 8"]


async def test_wait_until(b: Bench) -> None:
    opens_at = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    run = await b.start(example("wait-until.json"), {"opensAt": opens_at})

    await b.clock.skip(days=400, minutes=5)
    for doors in ("ajar", "open"):
        await b.signal(run, "doors", {"doors": doors})
        await b.drain()

    assert said(await b.result(run)) == [f"Welcome, it is after {opens_at}"]
