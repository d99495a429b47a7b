"""`python -m benchmarks`: runs the parts that were asked for, prints, and writes the results."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from benchmarks import options as given
from benchmarks import report
from benchmarks.calls import run_calls
from benchmarks.floors import run_floors
from benchmarks.growth import run_growth
from benchmarks.history import run_history
from benchmarks.memory import run_memory
from benchmarks.options import Options
from benchmarks.processes import say
from benchmarks.rounds import run_rounds
from benchmarks.sample import Figures
from benchmarks.servers import Servers, servers
from benchmarks.starts import run_starts
from benchmarks.targets import verdicts


def main(arguments: Sequence[str]) -> int:
    """The exit code is 1 when anything ran wrong; a target that is short is no error."""
    options = given.parse(arguments)
    logging.getLogger("headrace").setLevel(logging.WARNING)
    figures, began = Figures(), time.monotonic()
    with servers() as where:
        asyncio.run(_run(options, where, figures))
    say(report.text(figures, verdicts(figures)))
    say(f"took {time.monotonic() - began:.0f} s")
    return 1 if figures.wrong else 0


async def _run(options: Options, where: Servers, figures: Figures) -> None:
    await run_floors(where, figures)
    await run_rounds(options, where, figures)
    await run_calls(options, where, figures)
    await run_starts(options, where, figures)
    await run_growth(options, where, figures)
    await run_history(options, where, figures)
    await run_memory(options, where, figures)
