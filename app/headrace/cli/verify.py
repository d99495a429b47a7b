"""`headrace verify`: looks for what must never be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import anyio
import typer

from headrace import config
from headrace.cli.database import on_data_dir, open_database
from headrace.cli.errors import Exit
from headrace.cli.options import AsJson, DataDir
from headrace.cli.output import print_json, print_table
from headrace.config import Settings
from headrace.engine.verify import verify as find_broken
from headrace.store.invariants import Finding

_COLUMNS = ("check", "count", "what is broken", "for example")


def verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check the invariants on the live database. Exit code 0: nothing is broken.

    It only reads, and may be run at any time.
    """
    findings = anyio.run(_findings, on_data_dir(config.load(), data_dir))
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        print_table(_COLUMNS, map(_row, findings), "Nothing is broken.")
    if findings:
        raise typer.Exit(Exit.FAILED)


async def _findings(settings: Settings) -> Sequence[Finding]:
    async with open_database(settings) as db:
        return await find_broken(db)


def _row(finding: Finding) -> tuple[str, str, str, str]:
    return finding.name, str(finding.count), finding.description, finding.example
