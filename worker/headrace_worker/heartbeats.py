"""The heartbeats of running nodes, kept in memory until the renewing thread writes the last of each."""

from __future__ import annotations

import threading

from headrace.graph.ids import TaskId
from headrace.nodes.lanes import Heartbeat


class Heartbeats:
    """What was not written yet, by task. Any thread may add, and one takes."""

    def __init__(self) -> None:
        self._new: dict[TaskId, Heartbeat] = {}
        self._lock = threading.Lock()

    def add(self, task: TaskId, beat: Heartbeat) -> None:
        """Instead of what is there for this task."""
        with self._lock:
            self._new[task] = beat

    def take(self) -> dict[TaskId, Heartbeat]:
        """All of them; they are gone then."""
        with self._lock:
            taken, self._new = self._new, {}
        return taken
