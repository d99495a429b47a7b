"""The peers: how each is installed, started and driven, and what it can draw by itself."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import servers
from benchmarks.peers.environments import (
    NODE_HOME,
    Environment,
    NodeEnvironment,
    OurEnvironment,
    PythonEnvironment,
)
from benchmarks.processes import ROOT
from benchmarks.shapes import NOOP, S1, S2, S3, S4

RQ_SIMPLE, RQ_FORK, RQ_GRAPH = "RQ SimpleWorker", "RQ fork Worker", "RQ depends_on"
CELERY, DRAMATIQ, BULLMQ, DBOS = "Celery", "dramatiq", "BullMQ", "DBOS"

_SCRIPTS = "benchmarks.peers.scripts"

# As ours: the parser of answers that is written in C.
_REDIS_CLIENT = ("redis==8.1.0", "hiredis==3.5.0")


@dataclass(frozen=True)
class Peer:
    """An engine or queue of others.

    database: its number in Redis. worker: a command; `{processes}` in it is their number, and it is started
    once, else as many times as there are processes. by_hand: shapes that it cannot declare and that its code
    here walks by itself. divide: slow ones run a part of the many runs of S0 and S4. needs_database: an empty
    one of PostgreSQL.
    """

    name: str
    keeps: str
    settings: str
    environment: Environment
    database: int
    worker: tuple[str, ...]
    driver: tuple[str, ...]
    shapes: tuple[str, ...]
    by_hand: tuple[str, ...] = ()
    divide: int = 1
    env: tuple[tuple[str, str], ...] = ()
    folder: str = str(ROOT)
    needs_database: bool = False


def _rq(name: str, worker_class: str, shapes: tuple[str, ...], divide: int = 1) -> Peer:
    return Peer(
        name=name,
        keeps="Redis",
        settings="JSONSerializer, one queue, results kept 300 s",
        environment=OurEnvironment(),
        database=servers.RQ_IN_REDIS,
        worker=(
            *("rq", "worker", "-w", worker_class, "-S", "rq.serializers.JSONSerializer", "-q"),
            *("-u", "{redis}", "bench"),
        ),
        driver=("python", "-m", f"{_SCRIPTS}.rq_driver"),
        shapes=shapes,
        divide=divide,
    )


PEERS = (
    _rq(RQ_SIMPLE, "rq.worker.SimpleWorker", (NOOP,)),
    _rq(RQ_FORK, "rq.worker.Worker", (NOOP,), divide=10),
    _rq(RQ_GRAPH, "rq.worker.SimpleWorker", (S1, S2, S3, S4), divide=3),
    Peer(
        name=CELERY,
        keeps="Redis",
        settings="prefork, results in Redis, prefetch 4, hiredis; no gossip, mingle or heartbeats",
        environment=PythonEnvironment("celery", ("celery[redis]==5.7.0", *_REDIS_CLIENT)),
        database=servers.CELERY_IN_REDIS,
        worker=(
            *("celery", "-A", f"{_SCRIPTS}.celery_app", "worker", "-c", "{processes}", "-l", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
        driver=("python", "-m", f"{_SCRIPTS}.celery_driver"),
        shapes=(NOOP, S1, S2, S3, S4),
    ),
    Peer(
        name=DRAMATIQ,
        keeps="Redis",
        settings="8 threads a process, hiredis; no results",
        environment=PythonEnvironment("dramatiq", ("dramatiq[redis]==2.2.1", *_REDIS_CLIENT)),
        database=servers.DRAMATIQ_IN_REDIS,
        worker=("dramatiq", f"{_SCRIPTS}.dramatiq_app", "-p", "{processes}", "-t", "8"),
        driver=("python", "-m", f"{_SCRIPTS}.dramatiq_driver"),
        shapes=(NOOP, S1, S2, S3, S4),
        by_hand=(S1, S2, S3, S4),
    ),
    Peer(
        name=BULLMQ,
        keeps="Redis",
        settings="concurrency 50 a process, flows",
        environment=NodeEnvironment(),
        database=servers.BULLMQ_IN_REDIS,
        worker=("node", "worker.mjs"),
        driver=("node", "driver.mjs"),
        shapes=(NOOP, S1, S2, S3, S4),
        by_hand=(S2, S3, S4),
        env=(("BENCH_CONCURRENCY", "50"),),
        folder=str(NODE_HOME),
    ),
    Peer(
        name=DBOS,
        keeps="PostgreSQL",
        settings="a workflow a run from a queue polled every 10 ms; a run's steps in one process",
        environment=PythonEnvironment("dbos", ("dbos==3.4.0", "redis==8.1.0")),
        database=servers.DBOS_IN_REDIS,
        worker=("python", "-m", f"{_SCRIPTS}.dbos_worker"),
        driver=("python", "-m", f"{_SCRIPTS}.dbos_driver"),
        shapes=(S1, S2, S3, S4),
        by_hand=(S1, S2, S3, S4),
        divide=3,
        needs_database=True,
    ),
)
