"""Runs shapes on a peer: its workers, and a driver that speaks JSON lines (scripts/protocol.py)."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks import spans
from benchmarks.peers.catalogue import Peer
from benchmarks.processes import ROOT, Processes
from benchmarks.sample import Sample
from benchmarks.shapes import Shape, smaller
from benchmarks.spans import Span
from headrace.graph.json_types import JsonObject, JsonValue

_SECONDS = 90.0
_LAST_SECONDS = 5.0


class PeerFailed(Exception):
    """The peer's driver has ended, or says that something went wrong."""


@dataclass
class PeerSession:
    """A peer with running workers."""

    peer: Peer
    processes: Processes
    driver: subprocess.Popen[str]

    def measure(self, shape: Shape) -> Sample:
        """Runs a shape after its warm-ups and checks what ran. Raises PeerFailed."""
        part = smaller(shape, self.peer.divide)
        for _ in range(shape.warm_ups):
            self._run(part)
        began, found = self._run(part)
        wrong = spans.wrongs(part.graph, part.runs, found)
        seconds = max(span.end for span in found) - began
        hops = spans.hops(found) if part.is_chain else []
        return Sample(self.peer.name, shape.name, part.nodes, seconds, tuple(hops), wrong)

    def _run(self, shape: Shape) -> tuple[float, list[Span]]:
        if shape.drained:
            self.processes.freeze()
        began = self._ask({"op": "submit", "widths": list(shape.widths), "runs": shape.runs})["began"]
        if shape.drained:
            began = time.monotonic()
            self.processes.thaw()
        found = self._ask({"op": "wait", "seconds": _SECONDS})["spans"]
        assert isinstance(began, float)
        assert isinstance(found, list)
        return began, [_span(one) for one in found]

    def _ask(self, request: JsonObject) -> JsonObject:
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        try:
            self.driver.stdin.write(json.dumps(request) + "\n")
            self.driver.stdin.flush()
        except BrokenPipeError as error:
            raise PeerFailed(self.processes.log_end()) from error
        line = self.driver.stdout.readline()
        answer: JsonObject = json.loads(line) if line else {"error": self.processes.log_end()}
        if "error" in answer:
            raise PeerFailed(str(answer["error"]))
        return answer


def _span(one: JsonValue) -> Span:
    assert isinstance(one, list)
    run, node, start, end = one
    assert isinstance(run, int)
    assert isinstance(node, int)
    assert isinstance(start, float)
    assert isinstance(end, float)
    return Span(run, node, start, end)


@dataclass(frozen=True)
class Setting:
    """What a peer gets. database_url: empty unless it needs one. folder: for logs."""

    redis_url: str
    processes: int
    folder: Path
    database_url: str = ""


@contextmanager
def session(peer: Peer, setting: Setting) -> Iterator[PeerSession]:
    """Starts a peer's workers and driver on an emptied Redis database; both end with the block."""
    redis_url, processes = setting.redis_url, setting.processes
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    env = {
        "BENCH_REDIS": redis_url,
        "BENCH_DATABASE": setting.database_url,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict(peer.env),
    }
    log = setting.folder / f"{peer.name.replace(' ', '-')}.log"
    with Processes(env, log, Path(peer.folder)) as workers, _driver(peer, env, log) as driver:
        command = [part.format(redis=redis_url, processes=processes) for part in peer.worker]
        command[0] = peer.environment.program(command[0])
        workers.start(command, 1 if any("{processes}" in part for part in peer.worker) else processes)
        yield PeerSession(peer, workers, driver)
    # What one peer leaves behind must not be rewritten to the disk in another's time.
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()


@contextmanager
def _driver(peer: Peer, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [peer.environment.program(peer.driver[0]), *peer.driver[1:]]
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | env,
            cwd=peer.folder,
        ) as driver,
    ):
        try:
            yield driver
        finally:
            _end(driver)


def _end(driver: subprocess.Popen[str]) -> None:
    """It ends by itself when its stdin does."""
    assert driver.stdin is not None
    driver.stdin.close()
    try:
        driver.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:
        driver.kill()
