"""The activities that a process knows, by name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from headrace.activities.declaration import ORIGINS, Activity
from headrace.activities.errors import ActivityAlreadyRegistered
from headrace.log import Log

_log = Log("headrace.activities")


class Registry:
    """One activity a name. Of two that have it, a project's goes before a package's before a built-in one."""

    def __init__(self) -> None:
        self._known: dict[str, Activity] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Activity]:
        """In the order of names."""
        return iter(sorted(self._known.values(), key=lambda one: one.name))

    def get(self, name: str) -> Activity | None:
        return self._known.get(name)

    def add(self, new: Activity) -> None:
        """Makes an activity known. One that comes from the same place again replaces itself.

        Raises ActivityAlreadyRegistered when another of the same origin has its name.
        """
        with self._lock:
            old = self._known.get(new.name)
            if old is None or old.place == new.place:
                self._known[new.name] = new
            elif _rank(old) == _rank(new):
                raise ActivityAlreadyRegistered(new.name, _described(old), _described(new))
            else:
                first, second = sorted((old, new), key=_rank)
                self._known[new.name] = second
                _log.info(
                    "activity_replaced",
                    f"activity '{new.name}' of {_described(second)} goes before that of {_described(first)}",
                )

    def forget(self, name: str) -> None:
        """Makes an activity unknown; nothing if it is not known."""
        with self._lock:
            self._known.pop(name, None)

    @contextmanager
    def restored(self) -> Iterator[Registry]:
        """What is added inside is forgotten afterwards: for tests."""
        before = dict(self._known)
        try:
            yield self
        finally:
            self._known = before


REGISTRY = Registry()
"""Where `worker_task` puts activities."""


_RANKS: Mapping[str, int] = {origin: rank for rank, origin in enumerate(ORIGINS)}


def _rank(activity: Activity) -> int:
    return _RANKS[activity.declaration.origin]


def _described(activity: Activity) -> str:
    return f"{activity.place} ({activity.declaration.origin}: {activity.declaration.source})"
