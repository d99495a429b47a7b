"""Keeps as many worker processes alive as are wanted."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self

from headrace.errors import HeadraceError
from headrace.local.child import Child, Terms
from headrace.log import Log

log = Log(__name__)

WORKER_ID = "HEADRACE_WORKER_ID"

_LOOK_SECONDS = 0.05
_ASK_SECONDS = 0.5
_QUICK_SECONDS = 5.0
_LONGEST_DELAY_SECONDS = 30.0


@dataclass(frozen=True)
class WorkerDeath:
    """A worker that ended without being asked to, or not in the way it was asked to.

    exit_code is -n when signal n ended it.
    """

    worker_id: str
    pid: int
    exit_code: int


def restart_delay(quick_deaths: int) -> float:
    """Seconds to wait before the next start, after so many deaths in a row soon after their start."""
    if quick_deaths <= 1:
        return 0.0
    # The exponent is bounded, or a loop of a day would overflow.
    return min(_LONGEST_DELAY_SECONDS, 0.5 * (1 << min(quick_deaths - 2, 10)))


@dataclass
class _Worker:
    worker_id: str
    child: Child
    started: float

    def death(self, exit_code: int) -> WorkerDeath:
        return WorkerDeath(self.worker_id, self.child.pid, exit_code)


@dataclass
class _Place:
    """Where one worker after the other runs."""

    worker: _Worker | None = None
    quick_deaths: int = 0
    start_at: float = 0.0

    def age_order(self) -> float:
        """Rises from the oldest worker to the newest, and to a place that waits for its next one."""
        return self.worker.started if self.worker else math.inf

    def has_died(self, now: float) -> None:
        lived = now - self.worker.started if self.worker else 0.0
        self.worker = None
        self.quick_deaths = self.quick_deaths + 1 if lived < _QUICK_SECONDS else 0
        self.start_at = now + restart_delay(self.quick_deaths)


class Supervisor:
    """Runs `desired()` processes of `command`; they end with this process, also when it is killed.

    desired: asked every 0.5 s; while it raises, the last answer stands.
    on_death: told of every WorkerDeath at once. Both are called in a thread of their own, so a slow
    database delays no restart. Each process finds an id of its own in HEADRACE_WORKER_ID.
    terms: how a worker is asked to end, and how long it has.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        desired: Callable[[], int],
        on_death: Callable[[WorkerDeath], None],
        terms: Terms | None = None,
    ) -> None:
        self._command = list(command)
        self._env = dict(env)
        self._desired = desired
        self._on_death = on_death
        self._terms = terms or Terms()
        self._wanted = 0
        self._places: list[_Place] = []
        self._leaving: list[_Worker] = []
        self._deaths: SimpleQueue[WorkerDeath | None] = SimpleQueue()
        self._stopping = Event()
        self._hands = Thread(target=self._keep, name="supervisor", daemon=True)
        self._voice = Thread(target=self._converse, name="supervisor-voice", daemon=True)

    def start(self) -> None:
        """Starts to supervise, and returns at once."""
        self._voice.start()
        self._hands.start()

    def stop(self) -> None:
        """Returns when all workers are gone: asked to end, and killed after their grace time."""
        self._stopping.set()
        self._hands.join()
        for place in self._places:
            self._dismiss(place)
        for worker in self._leaving:
            self._tell_unless_clean(worker, worker.child.stop())
        self._leaving.clear()
        self._deaths.put(None)
        self._voice.join(self._terms.grace)

    def pids(self) -> dict[str, int]:
        """The running workers' pids by worker id, without those that were asked to end."""
        workers = [place.worker for place in self._places]
        return {worker.worker_id: worker.child.pid for worker in workers if worker}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _converse(self) -> None:
        """Asks and tells: everything here may block on a database."""
        asked_at = -_ASK_SECONDS
        while True:
            if time.monotonic() - asked_at >= _ASK_SECONDS:
                self._ask()
                asked_at = time.monotonic()
            try:
                death = self._deaths.get(timeout=max(0.0, asked_at + _ASK_SECONDS - time.monotonic()))
            except Empty:
                continue
            if death is None:
                return
            self._tell(death)

    def _ask(self) -> None:
        try:
            self._wanted = max(0, self._desired())
        except Exception as error:
            log.warning("desired", "the wanted number of workers is unknown", error=str(error))

    def _tell(self, death: WorkerDeath) -> None:
        try:
            self._on_death(death)
        except Exception:
            # Leases run out by themselves: what could not be told costs time only.
            log.exception("on_death", "a worker's death could not be recorded", worker=death.worker_id)

    def _keep(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            self._reap(time.monotonic())
            self._resize()
            self._fill(time.monotonic())

    def _reap(self, now: float) -> None:
        for place in self._places:
            code = place.worker.child.poll() if place.worker else None
            if place.worker and code is not None:
                log.warning("death", "a worker died", worker=place.worker.worker_id, exit_code=code)
                self._deaths.put(place.worker.death(code))
                place.has_died(now)
        for worker in list(self._leaving):
            code = worker.child.poll()
            if code is not None:
                self._leaving.remove(worker)
                self._tell_unless_clean(worker, code)

    def _tell_unless_clean(self, worker: _Worker, code: int) -> None:
        if code != 0:
            self._deaths.put(worker.death(code))

    def _resize(self) -> None:
        wanted = self._wanted
        while len(self._places) > wanted:
            newest = max(self._places, key=_Place.age_order)
            self._places.remove(newest)
            self._dismiss(newest)
        while len(self._places) < wanted:
            self._places.append(_Place())

    def _dismiss(self, place: _Place) -> None:
        if place.worker:
            place.worker.child.let_go()
            self._leaving.append(place.worker)
            place.worker = None

    def _fill(self, now: float) -> None:
        for place in self._places:
            if place.worker is None and place.start_at <= now:
                self._start_in(place)

    def _start_in(self, place: _Place) -> None:
        worker_id = uuid.uuid4().hex
        try:
            child = Child(self._command, self._env | {WORKER_ID: worker_id}, self._terms)
        except (HeadraceError, OSError) as error:
            log.warning("start", "a worker could not be started", error=str(error))
            place.has_died(time.monotonic())
            return
        place.worker = _Worker(worker_id, child, time.monotonic())
        log.info("start", "a worker starts", worker=worker_id, pid=child.pid)
