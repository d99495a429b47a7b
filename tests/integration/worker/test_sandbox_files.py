"""What a cell leaves to the machine: its files, and who goes first when memory is short."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.graph.json_types import JsonValue
from headrace.nodes.lanes import Program, SandboxLimits
from headrace.sandbox.cell.process_tree import children_of
from headrace.sandbox.lane import SandboxLane
from support.lanes import until

pytestmark = pytest.mark.anyio

LIMITS = SandboxLimits(seconds=30, memory_mb=64, output_bytes=1 << 20)


@pytest.fixture
async def lane() -> AsyncIterator[SandboxLane]:
    one = SandboxLane(1)
    yield one
    await one.close()


async def answer(lane: SandboxLane, source: str) -> JsonValue:
    return (await lane.run(Program("python", source), None, LIMITS)).output


async def test_temporary_files_work_though_none_is_deleted(lane: SandboxLane) -> None:
    source = """
import os, tempfile
with tempfile.TemporaryFile() as one, tempfile.NamedTemporaryFile() as two:
    for file in (one, two):
        file.write(b"x" * 1000)
        file.seek(0)
        assert file.read() == b"x" * 1000
    assert os.path.dirname(two.name) == os.getcwd()
return sorted(os.stat(name).st_size for name in os.listdir())
"""
    assert await answer(lane, source) == [0, 1000]  # the first has no name that it could be emptied by
    assert await answer(lane, "import os\nreturn os.unlink.__name__") == "unlink"


async def test_the_kernel_kills_cells_first(lane: SandboxLane) -> None:
    others = set(children_of(os.getpid()))  # of tests of other files
    running = asyncio.create_task(lane.run(Program("python", "import time\ntime.sleep(1000)"), None, LIMITS))
    (nursery,) = await until(lambda: [one for one in children_of(os.getpid()) if one not in others])
    (cell,) = await until(lambda: children_of(nursery))
    await until(lambda: Path(f"/proc/{cell}/oom_score_adj").read_text().strip() == "1000")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
