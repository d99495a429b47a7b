"""Redis's floor: PING, LPUSH and EVALSHA, by redis-benchmark where it is, else through a bare socket."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis

from benchmarks.sample import Floor

PIPELINED = 50
WITHOUT = "a bare socket, for want of redis-benchmark"

_REQUESTS, _REQUESTS_PIPELINED = 20_000, 200_000
_TIMEOUT = 120.0
_KEY = "bench:floor"
# As a queue's work is: something goes in, something comes out, and the answer is short.
_SCRIPT = "redis.call('LPUSH', KEYS[1], ARGV[1]) redis.call('RPOP', KEYS[1]) return 1"


def find_redis_benchmark() -> Path | None:
    """The one on PATH; wheels with a server bring none."""
    found = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    return Path(found) if found else None


def redis_floors(url: str, program: Path | None, divisor: int = 1) -> list[Floor]:
    """One client's floors, one request a round trip and 50. divisor: for a shorter measurement.

    Raises CalledProcessError when redis-benchmark fails.
    """
    with Redis.from_url(url) as redis:
        commands = {
            "PING": ("PING",),
            "LPUSH": ("LPUSH", _KEY, "value"),
            "EVALSHA of a push and a pop": ("EVALSHA", str(redis.script_load(_SCRIPT)), "1", _KEY, "value"),
        }
        found = []
        for what, command in commands.items():
            for pipelined, requests in ((1, _REQUESTS), (PIPELINED, _REQUESTS_PIPELINED)):
                load = (requests // divisor, pipelined)
                mean, rate = _by_program(program, url, command, load) if program else _raw(url, command, load)
                name = f"{what}, {pipelined} a round trip" if pipelined > 1 else what
                found.append(Floor(program.name if program else WITHOUT, name, 1, mean, rate))
                redis.delete(_KEY)
    return found


def _by_program(
    program: Path, url: str, command: tuple[str, ...], load: tuple[int, int]
) -> tuple[float, float]:
    """Mean of a round trip in ms and requests/s. load: requests, and how many of them in one round trip."""
    parts, (requests, pipelined) = urlsplit(url), load
    where = ("-h", str(parts.hostname), "-p", str(parts.port), "-a", parts.password or "")
    how = ("-c", "1", "-n", str(requests), "-P", str(pipelined), "--csv")
    answer = subprocess.run(
        [program, *where, "--dbnum", parts.path.lstrip("/"), *how, *command],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=True,
    )
    return read_csv(answer.stdout)


def read_csv(said: str) -> tuple[float, float]:
    """Mean of a round trip in ms, and requests/s, of what `redis-benchmark --csv` prints since Redis 6.2."""
    (line,) = csv.DictReader(line for line in said.splitlines() if line.startswith('"'))
    return float(line["avg_latency_ms"]), float(line["rps"])


def _raw(url: str, command: tuple[str, ...], load: tuple[int, int]) -> tuple[float, float]:
    parts, (requests, pipelined) = urlsplit(url), load
    with socket.create_connection((str(parts.hostname), parts.port or 6379)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _ask(connection, _resp("AUTH", parts.password or "") + _resp("SELECT", parts.path.lstrip("/")), 2)
        sent, trips = _resp(*command) * pipelined, requests // pipelined
        began = time.perf_counter()
        for _ in range(trips):
            _ask(connection, sent, pipelined)
        took = time.perf_counter() - began
        return took * 1_000 / trips, trips * pipelined / took


def _ask(connection: socket.socket, sent: bytes, answers: int) -> None:
    """Waits for that many answers of one line each."""
    connection.sendall(sent)
    lines = 0
    while lines < answers:
        got = connection.recv(65_536)
        # An error among many answers is an error.
        if not got or got.startswith(b"-") or b"\n-" in got:
            raise OSError(f"Redis answered {got[:100]!r}")
        lines += got.count(b"\n")


def _resp(*parts: str) -> bytes:
    return f"*{len(parts)}\r\n".encode() + b"".join(f"${len(part)}\r\n{part}\r\n".encode() for part in parts)
