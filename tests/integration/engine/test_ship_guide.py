"""The sources of the guide to stored activities do what it says, in sandboxes and trusted."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.engine.activities import Upload, upload
from headrace.engine.activity_reading import set_trusted
from headrace.engine.program import Engine
from headrace.engine.save import create_workflow
from headrace.engine.start import StartRequest, start_run
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.nodes.lanes import Language
from headrace.sandbox.lane import check_source
from headrace.store.results import Task
from headrace.testing import FakeHttp, process
from headrace_worker.lanes import WorkerLanes
from support.api import settings_for
from support.drive import status_of, tasks_of
from support.fleet import eventually
from support.project import read

pytestmark = pytest.mark.anyio

_PAGE = read("docs/howto/ship-an-activity.md")
_LANGUAGES: dict[str, Language] = {".py": "python", ".js": "javascript"}
BOTH = pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "sandboxed"])


@pytest.fixture
async def lanes() -> AsyncIterator[WorkerLanes]:
    one = WorkerLanes.of(settings_for("", "", HEADRACE_ISOLATED_PROCESSES=1))
    yield one
    await one.close()


@pytest.fixture
async def uploaded(engine: Engine) -> Engine:
    """Each file of the page stands in a block after its name."""
    files = re.findall(r"`tasks/([\w.]+)`:\n\n```\w+\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["price.py", "sendEmail.js", "charge.py"]
    for name, text in files:
        file = Path(name)
        await upload(engine, Upload(file.stem, _LANGUAGES[file.suffix], text), check_source)
    return engine


async def run(engine: Engine, lanes: WorkerLanes, document: JsonValue, given: JsonValue) -> dict[str, Task]:
    started = await start_run(engine, StartRequest(await create_workflow(engine, document), given))
    waiting = list(started.dispatches)

    async def has_ended() -> bool:
        waiting.extend(await process.tick(engine))
        while waiting:
            waiting.extend(await process.deliver(engine, waiting.pop(0), FakeHttp(), lanes))
        return bool(await status_of(engine, started.run_id) != "running")

    await eventually(has_ended, 30, "the run ends")
    return await tasks_of(engine, started.run_id)


@BOTH
async def test_the_order(uploaded: Engine, lanes: WorkerLanes, trusted: bool) -> None:
    await set_trusted(uploaded, trusted)
    (text,) = re.findall(r'^```json\n(\{\n  "name": "Order".*?)^```', _PAGE, re.MULTILINE | re.DOTALL)
    done = await run(uploaded, lanes, json.loads(text), {"quantity": 3, "to": "ada@example.org"})
    assert done["price"].output == {"total": 29.7}
    assert done["mail"].output == {"success": True, "messageId": "ada@example.org-24"}


@BOTH
@pytest.mark.parametrize(("card", "end"), [("mine", ("completed", 2)), ("stolen", ("failed", 1))])
async def test_the_charge(
    uploaded: Engine, lanes: WorkerLanes, trusted: bool, card: str, end: tuple[str, int]
) -> None:
    await set_trusted(uploaded, trusted)
    node: JsonObject = {"id": "n", "type": "charge", "config": {"card": card, "amount": 12.5}}
    task = (await run(uploaded, lanes, {"name": "Charge", "nodes": [node]}, None))["n"]
    assert (str(task.status), task.attempt) == end
    if card == "mine":
        assert task.output == {"receipt": str(task.id)}
    else:
        assert task.error == {"type": "CardDeclined", "message": "the bank keeps the card"}
