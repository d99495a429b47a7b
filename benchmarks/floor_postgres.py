"""PostgreSQL's floor: one-row commits and selects, by pgbench where it is, else by asyncpg."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from benchmarks.sample import Floor
from headrace.errors import InvalidSettings
from headrace.local.postgres import MAJOR, find_package

CLIENTS = (1, 3)
STATEMENTS = {
    "one-row commit": "UPDATE floor SET value = value + 1 WHERE id = {client}",
    "select": "SELECT value FROM floor WHERE id = {client}",
}
WITHOUT = "asyncpg, for want of pgbench"

_SECONDS = 2.0
_TIMEOUT = 60.0
_MAKE = "CREATE TABLE floor AS SELECT id, 0 AS value FROM generate_series(0, 2) id"
_KEY = "ALTER TABLE floor ADD PRIMARY KEY (id)"


def find_pgbench() -> Path | None:
    """The one of the embedded server, else one on PATH."""
    try:
        beside = find_package() / f"pginstall{MAJOR}" / "bin" / "pgbench"
    except InvalidSettings:
        beside = Path()
    on_path = shutil.which("pgbench")
    return beside if beside.is_file() else Path(on_path) if on_path else None


async def postgres_floors(url: str, pgbench: Path | None, seconds: float = _SECONDS) -> list[Floor]:
    """One floor for each statement and number of clients, each measured for `seconds` in an empty database.

    Raises CalledProcessError when pgbench fails.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"{_MAKE}; {_KEY}; ANALYZE floor")
    finally:
        await connection.close()
    return [
        await asyncio.to_thread(_by_pgbench, pgbench, url, what, clients, seconds)
        if pgbench
        else await _by_asyncpg(url, what, clients, seconds)
        for what in STATEMENTS
        for clients in CLIENTS
    ]


def _by_pgbench(pgbench: Path, url: str, what: str, clients: int, seconds: float) -> Floor:
    parts = urlsplit(url)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.sql")
        script.write_text(STATEMENTS[what].format(client=":client_id") + ";\n")
        where = ("-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username))
        load = ("-c", str(clients), "-j", str(clients), "-T", str(max(1, round(seconds))))
        answer = subprocess.run(
            [pgbench, "-n", "-M", "prepared", *load, "-f", script, *where, parts.path.lstrip("/")],
            env=os.environ | {"PGPASSWORD": parts.password or ""},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
        return _floor("pgbench", what, clients, _rate(answer.stdout))


def _rate(said: str) -> float:
    found = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    assert found, said
    return float(found[1])


def _floor(by: str, what: str, clients: int, rate: float) -> Floor:
    # pgbench's log of single latencies is no measure of short ones: an answer that is there when it looks is
    # booked with 0 us.
    return Floor(by, what, clients, clients * 1_000 / rate, rate)


async def _by_asyncpg(url: str, what: str, clients: int, seconds: float) -> Floor:
    until = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_one_client(url, what, client, until) for client in range(clients)))
    return _floor(WITHOUT, what, clients, sum(counts) / seconds)


async def _one_client(url: str, what: str, client: int, until: float) -> int:
    """How many transactions it made."""
    count = 0
    connection = await asyncpg.connect(url)
    try:
        statement = await connection.prepare(STATEMENTS[what].format(client="$1"))
        while time.perf_counter() < until:
            await statement.fetch(client)
            count += 1
    finally:
        await connection.close()
    return count
