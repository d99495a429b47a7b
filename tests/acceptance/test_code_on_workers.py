"""Code nodes on real workers: whatever the code does, only its own attempt fails."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from headrace.graph.json_types import JsonObject, JsonValue
from headrace.sandbox.cell.process_tree import children_of
from support.build import node, workflow
from support.drive import tasks_of
from support.fleet import Fleet, fleet
from support.lanes import until
from support.processes import is_gone

pytestmark = pytest.mark.anyio

BAD = {
    "crash": ("import ctypes\nctypes.string_at(0)", "ProcessDied"),
    "eat": ("x = []\nwhile True: x.append(bytearray(1 << 20))", "MemoryError"),
    "deaf": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: pass",
        "Timeout",
    ),
    "fork": ("import os\nwhile True: os.fork()", "PermissionError"),
    "flood": ("while True: print('x' * 1000)", "OutputTooLarge"),
    "exit": ("import os\nos._exit(0)", "ProcessDied"),
}


def code(name: str, source: str, **config: JsonValue) -> JsonObject:
    settings = {"language": "python", "code": source, **config}
    return node(name, "code", config=settings, retry={"maxAttempts": 1})


async def errors(workers: Fleet, document: JsonObject) -> dict[str, JsonValue]:
    """The kinds of failure by node, once the run has ended; None for a node that completed."""
    workflow_id = await workers.save(document)
    (run_id,) = await workers.start_runs(workflow_id, 1)
    await workers.until_all_ended(30)
    tasks = await tasks_of(workers.engine, run_id)
    return {name: task.error and task.error["type"] for name, task in tasks.items()}


async def test_only_their_own_attempts_fail(database_url: str, redis_url: str) -> None:
    async with fleet(database_url, redis_url) as workers:
        workers.start(1)
        bad = [code(name, source, timeoutSeconds=1) for name, (source, _) in BAD.items()]
        good = [code("good", "return 1"), node("plain")]
        found = await errors(workers, workflow([*bad, *good], []))
        assert found == {name: kind for name, (_, kind) in BAD.items()} | {"good": None, "plain": None}
        assert workers.workers[0].poll() is None
        assert await errors(workers, workflow([code("next", "return 2")], [])) == {"next": None}


async def test_code_ends_with_its_worker(database_url: str, redis_url: str) -> None:
    async with fleet(database_url, redis_url) as workers:
        workers.start(1)
        (worker,) = workers.workers
        workflow_id = await workers.save(workflow([code("sleep", "import time\ntime.sleep(1000)")], []))
        await workers.start_runs(workflow_id, 1)
        nursery, cell = await until(lambda: sandbox_of(worker.pid))
        workers.kill(worker)
        await until(lambda: is_gone(nursery))
        await until(lambda: is_gone(cell))


def sandbox_of(worker: int) -> tuple[int, int] | None:
    """A nursery of the worker's, and a cell of that."""
    pairs = ((child, cell) for child in children_of(worker) for cell in children_of(child))
    return next((pair for pair in pairs if is_cell(pair[1])), None)


def is_cell(pid: int) -> bool:
    with suppress(OSError):  # it has ended
        return "headrace-cells-" in os.readlink(f"/proc/{pid}/cwd")
    return False
