"""Keeps as many worker processes of each project alive as are wanted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

from headrace.errors import HeadraceError
from headrace.graph.project import DEFAULT_PROJECT, EVERY_PROJECT
from headrace.local.child import Child, Terms
from headrace.local.places import Place, RunningWorker, Wish, missing, superfluous
from headrace.log import Log

log = Log(__name__)

WORKER_ID = "HEADRACE_WORKER_ID"
GENERATION = "HEADRACE_WORKER_GENERATION"
PROJECTS = "HEADRACE_PROJECTS"

_LOOK_SECONDS = 0.05
_ASK_SECONDS = 0.5


@dataclass(frozen=True)
class WorkerStart:
    """A worker process that was started; it is not ready yet. generation: as of `Wish`."""

    worker_id: str
    pid: int
    project: str
    generation: int = 0


@dataclass(frozen=True)
class WorkerDeath:
    """A worker that ended without being asked to, or not in the way it was asked to.

    exit_code is -n when signal n ended it.
    """

    worker_id: str
    pid: int
    exit_code: int


class Owner(Protocol):
    """Whose workers they are. Called in one thread, so a slow database delays no restart."""

    def wanted(self) -> Mapping[str, Wish]:
        """How many workers each project wants. While it raises, the last answer stands."""

    def greet(self, start: WorkerStart) -> None:
        """A worker was started."""

    def bury(self, death: WorkerDeath) -> None:
        """A worker died."""


class Supervisor:
    """Runs processes of `command` as their owner wants; they end with this process, also when it is killed.

    The owner is asked every 0.5 s and told of starts and deaths at once, in their order. Each process finds
    an id of its own in HEADRACE_WORKER_ID, its project in HEADRACE_PROJECTS, and the generation for which it
    was started in HEADRACE_WORKER_GENERATION. terms: how a worker is asked to end, and how long it has.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], owner: Owner, terms: Terms | None = None
    ) -> None:
        self._command = list(command)
        self._env = dict(env)
        self._owner = owner
        self._terms = terms or Terms()
        self._wishes: Mapping[str, Wish] = {}
        self._places: list[Place] = []
        self._leaving: list[RunningWorker] = []
        self._news: SimpleQueue[WorkerStart | WorkerDeath | None] = SimpleQueue()
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
        self._news.put(None)
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
                news = self._news.get(timeout=max(0.0, asked_at + _ASK_SECONDS - time.monotonic()))
            except Empty:
                continue
            if news is None:
                return
            self._tell(news)

    def _ask(self) -> None:
        try:
            self._wishes = dict(self._owner.wanted())
        except Exception as error:
            log.warning("desired", "the wanted number of workers is unknown", error=str(error))

    def _tell(self, news: WorkerStart | WorkerDeath) -> None:
        try:
            if isinstance(news, WorkerStart):
                self._owner.greet(news)
            else:
                self._owner.bury(news)
        except Exception:
            # Leases run out by themselves, and workers register: what could not be told costs time only.
            log.exception("tell", "a worker's start or death could not be recorded", worker=news.worker_id)

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
                self._news.put(_death(place.worker, code))
                place.has_died(now)
        for worker in list(self._leaving):
            code = worker.child.poll()
            if code is not None:
                self._leaving.remove(worker)
                self._tell_unless_clean(worker, code)

    def _tell_unless_clean(self, worker: RunningWorker, code: int) -> None:
        if code != 0:
            self._news.put(_death(worker, code))

    def _resize(self) -> None:
        wishes = self._wishes
        for place in superfluous(self._places, wishes):
            self._places.remove(place)
            self._dismiss(place)
        self._places += missing(self._places, wishes)

    def _dismiss(self, place: Place) -> None:
        if place.worker:
            place.worker.child.let_go()
            self._leaving.append(place.worker)
            place.worker = None

    def _fill(self, now: float) -> None:
        for place in self._places:
            if place.worker is None and place.start_at <= now:
                self._start_in(place)

    def _projects(self, place: Place) -> str:
        """The default project's workers serve all the others, too, unless they were told to keep to it."""
        is_alone = place.project != DEFAULT_PROJECT or self._env.get(PROJECTS) == DEFAULT_PROJECT
        return place.project if is_alone else EVERY_PROJECT

    def _start_in(self, place: Place) -> None:
        worker_id = uuid.uuid4().hex
        try:
            own = {WORKER_ID: worker_id, PROJECTS: self._projects(place), GENERATION: str(place.generation)}
            child = Child(self._command, self._env | own, self._terms)
        except (HeadraceError, OSError) as error:
            log.warning("start", "a worker could not be started", error=str(error))
            place.has_died(time.monotonic())
            return
        place.worker = RunningWorker(worker_id, child, time.monotonic())
        log.info("start", "a worker starts", worker=worker_id, pid=child.pid, project=place.project)
        self._news.put(WorkerStart(worker_id, child.pid, place.project, place.generation))


def _death(worker: RunningWorker, exit_code: int) -> WorkerDeath:
    return WorkerDeath(worker.worker_id, worker.child.pid, exit_code)
