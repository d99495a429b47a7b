"""Celery's canvas: chains, groups and the chords that it makes of a group followed by a task."""
# mypy: disable-error-code="import-not-found, import-untyped, union-attr"

from __future__ import annotations

import json
import os
from uuid import uuid4

from celery import chain, group
from redis import Redis

from benchmarks.peers.scripts.celery_app import gather, node
from benchmarks.peers.scripts.protocol import Span, layers, parents, serve

_BATCH = 500


class CeleryDriver:
    """Each node is a task with an id of its own, so that its result can be read afterwards."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._widths: list[int] = []
        self._ids: list[str] = []
        self._missing = 0

    def submit(self, widths: list[int], runs: int) -> None:
        self._widths, mark = widths, uuid4().hex[:8]
        self._ids = [f"{mark}-{run}-{number}" for run in range(runs) for number in range(sum(widths))]
        for run in range(runs):
            self._submit_run(mark, run)

    def _submit_run(self, mark: str, run: int) -> None:
        steps = [
            [self._task(mark, run, number, is_root=depth == 0) for number in layer]
            for depth, layer in enumerate(layers(self._widths))
        ]
        parts: list[object] = []
        for step in steps:
            if len(step) > 1 and parts and isinstance(parts[-1], group):
                parts.append(gather.s())
            parts.append(step[0] if len(step) == 1 else group(step))
        (parts[0] if len(parts) == 1 else chain(*parts)).apply_async()

    def _task(self, mark: str, run: int, number: int, is_root: bool) -> object:
        arguments = (None, run, number) if is_root else (run, number)
        return node.s(*arguments).set(task_id=f"{mark}-{run}-{number}")

    def spans(self) -> list[Span] | None:
        # The last one to be submitted is a good guess of the last one to end.
        if not self._redis.exists(_key(self._ids[-1])):
            return None
        found: list[bytes | str | None] = []
        for start in range(0, len(self._ids), _BATCH):
            found += self._redis.mget([_key(one) for one in self._ids[start : start + _BATCH]])
        texts = [text for text in found if text is not None]
        return [self._span(text) for text in texts] if len(texts) == len(found) else None

    def _span(self, text: bytes | str) -> Span:
        answer = json.loads(text)
        if answer["status"] != "SUCCESS":
            raise ValueError(f"a task ended {answer['status']}: {answer['result']}")
        run, number, start, end, given = answer["result"]
        if sorted(given) != list(parents(self._widths).get(number, ())):
            raise ValueError(f"node {number} was given the results of {given}")
        return run, number, start, end


def _key(task_id: str) -> str:
    return f"celery-task-meta-{task_id}"


if __name__ == "__main__":
    serve(CeleryDriver(os.environ["BENCH_REDIS"]))
