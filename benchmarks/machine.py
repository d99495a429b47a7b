"""What the figures were measured on: the machine, the versions, how durable the servers were."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import asyncpg
from redis import Redis

from benchmarks import floor_postgres, floor_redis
from benchmarks.floor_postgres import find_pgbench
from benchmarks.floor_redis import find_redis_benchmark
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.environments import PythonEnvironment
from benchmarks.processes import ROOT
from benchmarks.servers import Servers

_OURS = ("headrace", "rq", "redis", "asyncpg", "sqlalchemy", "uvloop")
_POSTGRES = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
_REDIS = ("appendonly", "appendfsync")
_SECONDS = 10


async def describe(where: Servers) -> dict[str, str]:
    """One line for each thing worth knowing."""
    return {
        "machine": f"{os.cpu_count()} cores, {_cpu()}, {_memory()}",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "load before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "Headrace": ", ".join(f"{name} {version(name)}" for name in _OURS) + _commit(),
        "PostgreSQL": await _postgres(where),
        "Redis": _redis(where),
        "floors by": _floors(),
        "peers": ", ".join(_peers()),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return _said(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _commit() -> str:
    found = _said(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    return f", commit {found}" if found else ""


def _said(command: Sequence[str]) -> str:
    """What a command prints; '' when it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    answer = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _floors() -> str:
    pgbench, redis_benchmark = find_pgbench(), find_redis_benchmark()
    return ", ".join(
        (
            _said([str(pgbench), "--version"]) if pgbench else floor_postgres.WITHOUT,
            _said([str(redis_benchmark), "--version"]) if redis_benchmark else floor_redis.WITHOUT,
        )
    )


async def _postgres(where: Servers) -> str:
    connection = await asyncpg.connect(where.admin_url)
    try:
        settings = [(name, await connection.fetchval(f"SHOW {name}")) for name in _POSTGRES]
    finally:
        await connection.close()
    return ", ".join(f"{name} {value}" for name, value in settings)


def _redis(where: Servers) -> str:
    with Redis.from_url(where.redis_url) as redis:
        settings = {**redis.config_get("append*")}
        return ", ".join(
            [redis.info("server")["redis_version"], *(f"{name} {settings[name]}" for name in _REDIS)]
        )


def _peers() -> list[str]:
    pinned = [
        requirement.replace("==", " ").replace("[redis]", "")
        for peer in PEERS
        if isinstance(peer.environment, PythonEnvironment)
        for requirement in peer.environment.requirements
    ]
    bullmq = '"bullmq": "'
    package = (ROOT / "benchmarks/peers/bullmq/package.json").read_text()
    node = _said(["node", "--version"]).removeprefix("v")
    return [
        *dict.fromkeys(pinned),
        f"bullmq {package.partition(bullmq)[2].partition(chr(34))[0]} on Node.js {node}",
    ]
