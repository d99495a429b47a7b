"""What a peer's driver says to the harness: a JSON object a line, on stdin and stdout. Standard library only.

    {"op": "submit", "widths": [1, 2, 1], "runs": 3}   ->  {"began": 12.3}
    {"op": "wait", "seconds": 60}                      ->  {"spans": [[run, node, start, end], ...]}

All times are seconds on the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from typing import Protocol

Span = tuple[int, int, float, float]

LOOK_SECONDS = 0.002


class Driver(Protocol):
    """A peer's side."""

    def submit(self, widths: list[int], runs: int) -> None:
        """Submits runs of layers of nodes, each node of one layer joined to each node of the next."""

    def spans(self) -> list[Span] | None:
        """All executions since `submit`, or None while some are missing."""


def serve(driver: Driver) -> None:
    """Answers until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        answer = _submit(driver, request) if request["op"] == "submit" else _wait(driver, request["seconds"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _submit(driver: Driver, request: dict[str, list[int] | int]) -> dict[str, float]:
    began = time.monotonic()
    widths, runs = request["widths"], request["runs"]
    assert isinstance(widths, list)
    assert isinstance(runs, int)
    driver.submit(widths, runs)
    return {"began": began}


def _wait(driver: Driver, seconds: float) -> dict[str, list[Span] | str]:
    deadline = time.monotonic() + seconds
    while (spans := driver.spans()) is None:
        if time.monotonic() > deadline:
            return {"error": f"not ended within {seconds:g} s"}
        time.sleep(LOOK_SECONDS)
    return {"spans": spans}


def layers(widths: list[int]) -> list[range]:
    """The numbers of the nodes of each layer."""
    first, found = 0, []
    for width in widths:
        found.append(range(first, first + width))
        first += width
    return found


def parents(widths: list[int]) -> dict[int, range]:
    """The parents of each node; none of the first layer's."""
    return {node: above for above, below in pairwise(layers(widths)) for node in below}
