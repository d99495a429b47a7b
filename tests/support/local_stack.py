"""`headrace up` as a process of the test's own, on a data folder and a port of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from headrace.config import Settings
from headrace.graph.json_types import JsonObject
from headrace.local.stack import Running, read_running
from support.processes import eventually, is_gone
from support.servers import passable_folder

HEADRACE = (sys.executable, "-m", "headrace.cli")
_START_SECONDS = 50.0
_STOP_SECONDS = 30.0


def clean_environment(**said: str) -> dict[str, str]:
    """Ours without Headrace's settings: those of a developer's shell must not reach a test."""
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    return {name: value for name, value in os.environ.items() if name not in known} | said


@dataclass
class UpProcess:
    """A running `headrace up`."""

    process: subprocess.Popen[bytes]
    data_dir: Path

    @property
    def running(self) -> Running:
        found = read_running(self.data_dir)
        assert found is not None, self.output()
        return found

    @property
    def url(self) -> str:
        return self.running.api_url

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=65, trust_env=False)

    def output(self) -> str:
        return (self.data_dir / "up.log").read_text()

    def cli(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs a command that talks to this stack."""
        said = clean_environment(HEADRACE_DATA_DIR=str(self.data_dir), **env)
        return run_cli(arguments, said, self.data_dir)

    def workers(self) -> list[JsonObject]:
        """The running worker processes, as the API lists them."""
        with self.client() as client:
            items: list[JsonObject] = client.get("/workers").raise_for_status().json()["items"]
        return [worker for worker in items if worker["state"] == "running"]

    def scale(self, count: int) -> None:
        answer = self.cli("scale", str(count))
        assert answer.returncode == 0, answer.stderr

    def server_pid(self, server: str) -> int:
        """The pid of its own `postgres` or `redis`."""
        return int((self.data_dir / server / "pid").read_text().split()[0])

    def descendants(self) -> list[int]:
        """All processes that hang on it."""
        lines = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in map(str.split, lines.splitlines())}
        found = {self.process.pid}
        while grown := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= grown
        return sorted(found - {self.process.pid})

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)


def run_cli(arguments: Sequence[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    return subprocess.run(
        [*HEADRACE, *arguments], env=env, cwd=cwd, capture_output=True, text=True, timeout=50, check=False
    )


def start_up(data_dir: Path, *options: str, **env: str) -> UpProcess:
    """Starts `headrace up` on a free port and waits until it is ready."""
    with (data_dir / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [*HEADRACE, "up", "--port", "0", "--data-dir", str(data_dir), *options],
            env=clean_environment(**env),
            cwd=data_dir,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    up = UpProcess(process, data_dir)
    try:
        eventually(lambda: process.poll() is not None or _is_announced(data_dir), _START_SECONDS)
        assert process.poll() is None, up.output()
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return up


def _is_announced(data_dir: Path) -> bool:
    running = read_running(data_dir)
    return running is not None and running.api_url != ""


@contextmanager
def local_stack(*options: str, **env: str) -> Iterator[UpProcess]:
    """A stack for the length of the block, on a new data folder."""
    with passable_folder() as folder:
        up = start_up(folder, *options, **env)
        try:
            yield up
        finally:
            children = up.descendants()
            if up.process.poll() is None:
                up.stop()
            eventually(lambda: all(map(is_gone, children)), _STOP_SECONDS)
