"""`python -m benchmarks`: runs the parts that were asked for, prints, and writes the results."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Sequence

from benchmarks import options as given
from benchmarks import report
from benchmarks.calls import run_calls
from benchmarks.floors import run_floors
from benchmarks.growth import run_growth
from benchmarks.history import run_history
from benchmarks.machine import describe
from benchmarks.memory import run_memory
from benchmarks.options import Options
from benchmarks.processes import TooSlow, say
from benchmarks.rounds import run_rounds
from benchmarks.sample import OURS, Figures
from benchmarks.servers import Servers, servers
from benchmarks.starts import run_starts
from benchmarks.targets import verdicts
from benchmarks.writing import write


def main(arguments: Sequence[str]) -> int:
    """The exit code is 1 when Headrace ran wrong anywhere; a target that is short is no error."""
    options = given.parse(arguments)
    logging.getLogger("headrace").setLevel(logging.WARNING)
    # As Ctrl-C: whatever was started is ended, and the data's folder removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    figures, began = Figures(), time.monotonic()
    with servers() as where:
        facts = asyncio.run(_run(options, where, figures))
    found = verdicts(figures)
    say(report.text(figures, found))
    for path in write(options, figures, found, facts):
        say(f"wrote {path}")
    say(f"took {time.monotonic() - began:.0f} s")
    return 1 if any(who == OURS for _, who in figures.wrong) else 0


async def _run(options: Options, where: Servers, figures: Figures) -> dict[str, str]:
    facts = {"run": f"{options.rounds} rounds, {options.processes} processes", **await describe(where)}
    for name, value in facts.items():
        say(f"{name:12} {value}")
    await run_floors(options, where, figures)
    for part in (run_rounds, run_calls, run_starts, run_growth, run_history, run_memory):
        try:
            await part(options, where, figures)
        except TooSlow as error:
            figures.wrong[part.__name__.removeprefix("run_"), OURS] = str(error)
    return facts
