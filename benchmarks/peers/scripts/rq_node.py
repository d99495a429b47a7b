"""The job that bare RQ workers run."""

from __future__ import annotations

import time


def node(run: int, number: int) -> list[float]:
    """Does nothing and says when."""
    return [run, number, time.monotonic(), time.monotonic()]
