"""Statistics as people ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from headrace.engine.program import Engine
from headrace.graph.statistics import Key, Tally, reasons_for_own_workers
from headrace.store import statistics
from headrace.store.statistics import Counted, Wanted


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one name in one project. own_workers: why it should get workers of its own."""

    key: Key
    tally: Tally
    last_at: datetime
    own_workers: Sequence[str]


async def figures(engine: Engine, wanted: Wanted) -> list[Figures]:
    """Of every name that ran in the window, what took most of the time first."""
    counted = await engine.db.transact(partial(statistics.read, wanted=wanted))
    by_project: dict[str, dict[str, Tally]] = {}
    for one in counted:
        by_project.setdefault(one.key.project, {})[one.key.name] = one.tally
    found = [_figures(one, by_project[one.key.project]) for one in counted]
    return sorted(found, key=lambda one: (-one.tally.busy, one.key))


def _figures(one: Counted, of_project: dict[str, Tally]) -> Figures:
    return Figures(one.key, one.tally, one.last_at, reasons_for_own_workers(one.key.name, of_project))
