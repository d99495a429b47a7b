"""Runs programs in cells, as whoever it is: reads sources as JSON, writes what came of them.

It needs nothing that is installed, so that it runs from copies too.
"""

from __future__ import annotations

import asyncio
import json
import sys

from headrace.sandbox.cell.wire import Request
from headrace.sandbox.owner import Nursery, Order


async def results(sources: list[str], payload: object) -> list[object]:
    nursery = await Nursery.start()
    try:
        return [await result(nursery, source, payload) for source in sources]
    finally:
        await nursery.close()


async def result(nursery: Nursery, source: str, payload: object) -> object:
    """The output, or the kind of failure."""
    request = Request(
        language="python",
        source=source,
        entry=None,
        input=payload,
        check=False,
        seconds=5,
        memory_mb=64,
        output_bytes=100_000,
        told=None,
    )
    ended = await nursery.run(Order(seconds=5, memory=64 << 20), request, 100_000)
    answer = json.loads(ended.answer or b"null")
    return answer and (answer["trouble"]["kind"] if answer["trouble"] else answer["output"])


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    sys.stdout.write(json.dumps(asyncio.run(results(asked["sources"], asked["payload"]))))
