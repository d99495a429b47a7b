"""RQ's worker without RQ's loop: what dashboards see of it, and repairs that workers do for each other."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence

from redis import Redis
from redis.client import Pipeline, PubSub, PubSubWorkerThread
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.command import parse_payload
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import WorkerStatus
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from headrace.graph.json_types import JsonObject
from headrace.log import Log
from headrace.queues.records import HEARTBEAT_TTL

_LOCK_SECONDS = 899
_LOCK_TRUSTED_SECONDS = 60
_PUBSUB_PAUSE = 1.0
_HEAR_SECONDS = 20.0

_log = Log(__name__)


class RegisteredWorker(SimpleWorker):
    """An RQ worker whose jobs somebody else runs. queues: in the order in which it empties them.

    It never installs signal handlers: the process owns its signals. on_command: called with each command that
    RQ publishes to this worker, in a thread of RQ's.
    """

    death_penalty_class = TimerDeathPenalty  # RQ's default uses signals, which only a main thread gets

    def __init__(
        self,
        queues: Sequence[str],
        connection: Redis,
        name: str | None,
        on_command: Callable[[JsonObject], None],
    ) -> None:
        super().__init__(
            list(queues),
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=HEARTBEAT_TTL - 60,  # RQ adds the 60
            prepare_for_work=False,  # which asks Redis for an address, and Redis may be away
        )
        self._on_command = on_command
        self._closing = threading.Event()
        self._hearing: PubSubWorkerThread | None = None

    def arrive(self) -> None:
        """Hears commands and registers the worker. Raises ValueError if a living worker has its name.

        Raises RedisError; then it may be called again.
        """
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._set_ip_address(self.connection)
        self._hear_commands()
        if self.birth_date:
            self.arrive_again()  # what an earlier call wrote may have arrived, unlike the answer
        else:
            self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.STARTED)

    def arrive_again(self) -> None:
        """Registers the worker if Redis has forgotten it, after FLUSHALL for instance; raises RedisError."""
        if not self.connection.hexists(self.key, "birth"):
            self.connection.delete(self.key)  # counters, perhaps, of a job that ended since
            self.register_birth()  # type: ignore[no-untyped-call]

    def join(self, queues: Sequence[str]) -> None:
        """Works for these queues, too. Raises RedisError; then it may be called again."""
        known = set(self.queue_names())
        added = [
            Queue(name, self.connection, serializer=JSONSerializer) for name in queues if name not in known
        ]
        if added and self.connection.hexists(self.key, "birth"):
            names = [*self.queue_names(), *(one.name for one in added)]
            with self.connection.pipeline() as pipeline:
                pipeline.hset(self.key, "queues", ",".join(names))
                for one in added:
                    pipeline.sadd(WORKERS_BY_QUEUE_KEY % one.name, self.key)
                pipeline.execute()
        self.queues = [*self.queues, *added]

    def leave(self) -> None:
        """Takes the worker out of RQ's lists; without Redis, its keys expire."""
        self._closing.set()
        if self._hearing:
            self._hearing.stop()
        try:
            if self.birth_date:  # else the keys are another worker's of this name
                self.register_death()  # type: ignore[no-untyped-call]
            self._hear_no_more()
        except RedisError as error:
            _log.warning("leave", "the worker could not say goodbye to Redis", error=str(error))

    def _hear_commands(self) -> None:
        if self._hearing:
            return
        pubsub = self.connection.pubsub()  # type: ignore[no-untyped-call]
        pubsub.subscribe(**{self.pubsub_channel_name: self.handle_payload})
        self._hearing = pubsub.run_in_thread(
            _HEAR_SECONDS, daemon=True, exception_handler=self._pubsub_exception_handler
        )

    def _hear_no_more(self) -> None:
        """After `stop`: in RQ's order its thread, if it is quick, waits for a minute before it ends."""
        if self._hearing:
            self._hearing.pubsub.unsubscribe()
            self._hearing.join(timeout=_PUBSUB_PAUSE)

    def maintain(self) -> None:
        """Fails the abandoned jobs of dead workers, as RQ does, and drops what has expired.

        RQ's lock for this lasts 15 minutes, and a worker that is killed while it cleans leaves it: until then
        nothing would be repaired. Cleaning takes seconds, so a lock older than a minute has lost its owner.
        """
        for queue in self.queues:
            lock = queue.registry_cleaning_key
            if self.connection.ttl(lock) < _LOCK_SECONDS - _LOCK_TRUSTED_SECONDS:
                self.connection.delete(lock)
        self.run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def handle_payload(self, message: dict[str, bytes]) -> None:
        """RQ's hook for commands; what is no JSON object is passed over, anybody may publish."""
        try:
            payload = parse_payload(message)
        except ValueError:
            payload = None
        if isinstance(payload, dict):
            self._on_command(payload)

    def set_current_job_id(self, job_id: str | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ's handlers clear it after each job; here others still run, and the next exchange says which."""

    def get_heartbeat_ttl(self, _job: Job) -> int:
        """Seconds until a job is abandoned unless its heartbeat is renewed."""
        return HEARTBEAT_TTL

    def _set_connection(self, connection: Redis) -> Redis:
        """RQ raises the socket's timeout to minutes, for its blocking pop. Nothing here blocks that long."""
        return connection

    def _pubsub_exception_handler(self, exc: Exception, _pubsub: PubSub, _: PubSubWorkerThread) -> None:
        """RQ's thread ends on anything but ConnectionError, and then the worker hears no command any more."""
        _log.warning("commands", "Redis does not answer, listening again", error=str(exc))
        self._closing.wait(_PUBSUB_PAUSE)
