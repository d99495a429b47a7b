"""How a worker that serves several projects shares its slots among them, and what that costs."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid4

import pytest
from redis import Redis

from headrace.graph.dispatch import RunTask, Withdraw
from headrace.graph.ids import TaskId
from headrace.graph.settings import Priority
from headrace.queues.broker import Broker
from headrace.queues.inspect import all_queue_depths, known_projects
from headrace.queues.live import FILLED
from headrace.queues.names import TASK_QUEUES, project_of, task_queues
from headrace_worker.rota import Rota
from headrace_worker.rq_claim import Keys
from headrace_worker.rq_exchange import Exchange, Request


def jobs(project: str, count: int, priority: int = Priority.NORMAL) -> list[RunTask]:
    run = uuid4()
    return [RunTask(TaskId(run, n), 1, 1, "n", 30.0, priority, project) for n in range(count)]


def an_exchange(connection: Redis, *projects: str) -> Exchange:
    connection.hset("rq:worker:one", "birth", "2026-01-01")
    return Exchange(connection, Keys(Rota(*map(task_queues, projects)), "one"))


def claim(exchange: Exchange, wanted: int) -> list[str]:
    """The queues of the jobs that were got."""
    answer = exchange.run(Request([], [], wanted, "idle", None, None))
    return [one.queue for one in answer.jobs]


def shares(exchange: Exchange, wanted: int) -> dict[str | None, int]:
    return dict(Counter(map(project_of, claim(exchange, wanted))))


def test_all_get_the_same_and_what_one_does_not_need_goes_to_the_others(connection: Redis) -> None:
    Broker(connection).push([*jobs("a", 100), *jobs("b", 100), *jobs("c", 5)])
    exchange = an_exchange(connection, "a", "b", "c", "d")
    assert shares(exchange, 9) == {"a": 3, "b": 3, "c": 3}
    assert shares(exchange, 30) == {"a": 14, "b": 14, "c": 2}
    assert shares(exchange, 500) == {"a": 83, "b": 83}
    assert shares(exchange, 500) == {}


def test_one_slot_at_a_time_they_take_turns(connection: Redis) -> None:
    Broker(connection).push([*jobs("a", 100), *jobs("b", 3)])
    exchange = an_exchange(connection, *[f"empty{n}" for n in range(50)], "a", "b")
    got = [claim(exchange, 1) for _ in range(8)]
    assert [project_of(queue) for (queue,) in got] == ["a", "b", "a", "b", "a", "b", "a", "a"]


def test_priority_goes_before_turns(connection: Redis) -> None:
    Broker(connection).push([*jobs("a", 10), *jobs("b", 4, Priority.LOW), *jobs("a", 3, Priority.HIGH)])
    Broker(connection).push(jobs("b", 2, Priority.CRITICAL))
    exchange = an_exchange(connection, "a", "b")
    assert claim(exchange, 17) == [
        *["workflow-tasks-critical--b"] * 2,
        *["workflow-tasks-high--a"] * 3,
        *["workflow-tasks--a"] * 10,
        *["workflow-tasks-low--b"] * 2,
    ]


def test_jobs_that_were_deleted_take_nobodys_share(connection: Redis) -> None:
    gone, kept = jobs("a", 20), jobs("b", 3)
    Broker(connection).push([*gone, *kept])
    connection.delete(*(f"rq:job:{one.job_id}" for one in gone))
    assert shares(an_exchange(connection, "a", "b"), 3) == {"b": 3}


def test_more_projects_than_a_script_may_name_at_once(connection: Redis) -> None:
    names = [f"p{number}" for number in range(2500)]
    Broker(connection).push([*jobs("p7", 3), *jobs("p2499", 3, Priority.LOW)])
    assert shares(an_exchange(connection, *names), 10) == {"p7": 3, "p2499": 3}


def calls(connection: Redis) -> Counter[str]:
    """How often each command was called, also by scripts."""
    found = connection.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in found.items()})


@pytest.mark.parametrize("queued", [0, 5, 40])
def test_with_one_project_a_claim_costs_what_it_takes(connection: Redis, queued: int) -> None:
    """One LPOP a queue until the slots are full, and nothing about projects."""
    Broker(connection).push(jobs("default", queued))
    exchange = an_exchange(connection, "default")
    claim(exchange, 0)
    claim(exchange, 1)
    before = calls(connection)
    got = len(claim(exchange, 20))
    spent = calls(connection) - before
    assert got == min(max(queued - 1, 0), 20)
    assert spent["lpop"] == (3 if got == 20 else 4)
    assert spent["exists"] == got + 1
    assert spent["smembers"] == spent["publish"] == 0


def test_a_hundred_idle_projects_cost_one_look_a_rank(connection: Redis) -> None:
    exchange = an_exchange(connection, *[f"p{number}" for number in range(100)])
    claim(exchange, 1)
    before = calls(connection)
    assert claim(exchange, 20) == []
    spent = calls(connection) - before
    assert (spent["exists"], spent["lpop"]) == (len(TASK_QUEUES) + 1, 0)


def test_listeners_are_told_of_the_first_job_in_an_empty_queue(connection: Redis) -> None:
    broker, pubsub = Broker(connection), connection.pubsub()
    pubsub.subscribe(FILLED)
    assert pubsub.get_message(timeout=5)

    def told() -> list[str]:
        connection.publish(FILLED, "end")
        found = []
        while (message := pubsub.get_message(timeout=5)) and message["data"] != b"end":
            found.append(message["data"].decode())
        return found

    broker.push(jobs("default", 3))
    assert told() == []  # somebody blocks on that one
    broker.push([*jobs("shop", 2_500), *jobs("bank", 1, Priority.HIGH)])
    assert told() == ["workflow-tasks--shop", "workflow-tasks-high--bank"]
    broker.push(jobs("shop", 1))
    assert told() == []
    claim(an_exchange(connection, "shop"), 5_000)
    broker.push(jobs("shop", 1))
    assert told() == ["workflow-tasks--shop"]
    pubsub.close()


def test_which_projects_there_are(connection: Redis) -> None:
    assert known_projects(connection) == set()
    Broker(connection).push([*jobs("default", 1), *jobs("shop", 2, Priority.LOW)])
    connection.sadd("rq:queues", "rq:queue:somebody-elses", "rq:queue:workflow-tasks--NO")
    assert known_projects(connection) == {"default", "shop"}
    depths = {one.name: one.queued for one in all_queue_depths(connection)}
    assert depths == dict.fromkeys([*TASK_QUEUES, *task_queues("shop"), "workflow-dependencies"], 0) | {
        "workflow-tasks": 1,
        "workflow-tasks-low--shop": 2,
    }


@pytest.mark.parametrize("count", [2, 40])
def test_withdrawn_jobs_leave_their_projects_queue(connection: Redis, count: int) -> None:
    broker, wanted, others = Broker(connection), jobs("shop", count), jobs("bank", 2)
    broker.push([*wanted, *others])
    broker.push([Withdraw(tuple(one.job_id for one in [*wanted[1:], others[0]]))])
    left = {one.name: one.queued for one in all_queue_depths(connection) if one.queued}
    assert left == {"workflow-tasks--shop": 1, "workflow-tasks--bank": 1}
    assert not connection.exists(*(f"rq:job:{one.job_id}" for one in wanted[1:]))
    broker.push([Withdraw((str(UUID(int=0)) + "-0-1-1",))])  # one that Redis does not know
