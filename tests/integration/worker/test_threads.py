"""The thread lane: code that blocks, code that never returns."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import NoReturn

import pytest

from headrace.nodes.lanes import AttemptFailed
from headrace_worker.threads import ThreadLane
from support import lanes_owner
from support.lanes import until

pytestmark = pytest.mark.anyio

_word: ContextVar[str] = ContextVar("word")


def lane_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "sync-code"]


@pytest.fixture
async def lane() -> AsyncIterator[ThreadLane]:
    one = ThreadLane(2)
    yield one
    one.close()
    await until(lambda: not lane_threads())


class Blocking:
    """Calls that say that they have begun, and return when they may."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.began.set()
        self.may_end.wait()
        return "ended"


async def test_a_call_has_the_context_of_its_caller_and_leaves_it_alone(lane: ThreadLane) -> None:
    def call() -> str:
        before = _word.get()
        _word.set("changed")
        return before

    _word.set("mine")
    assert await lane.run(call) == "mine"
    assert _word.get() == "mine"


async def test_threads_are_used_again(lane: ThreadLane) -> None:
    assert len({await lane.run(threading.get_ident) for _ in range(5)}) == 1


async def test_an_exception_comes_as_it_is(lane: ThreadLane) -> None:
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 / 0)


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, StopIteration, asyncio.CancelledError, GeneratorExit]
)
async def test_what_would_end_a_loop_or_a_task_fails_the_attempt(
    lane: ThreadLane, error: type[BaseException]
) -> None:
    def call() -> NoReturn:
        raise error("reason")

    with pytest.raises(AttemptFailed) as caught:
        await lane.run(call)
    assert caught.value.failed.kind == error.__name__
    assert await lane.run(lambda: "next") == "next"


async def test_no_more_calls_run_at_once_than_there_are_threads(lane: ThreadLane) -> None:
    first, second, third = Blocking(), Blocking(), Blocking()
    running = [asyncio.create_task(lane.run(one)) for one in (first, second, third)]
    await until(lambda: first.began.is_set() and second.began.is_set())
    assert len(lane_threads()) == 2
    assert not third.began.is_set()
    second.may_end.set()
    await until(third.began.is_set)
    first.may_end.set()
    third.may_end.set()
    assert await asyncio.gather(*running) == ["ended"] * 3


async def test_a_cancelled_call_keeps_its_thread_until_it_returns() -> None:
    lane, stuck, order = ThreadLane(1), Blocking(), list[str]()
    call = asyncio.create_task(lane.run(lambda: order.append(stuck())))
    await until(stuck.began.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    following = asyncio.create_task(lane.run(lambda: order.append("next")))
    await asyncio.sleep(0)
    assert (lane.abandoned, len(lane_threads())) == (1, 1)
    stuck.may_end.set()
    await following
    assert order == ["ended", "next"]
    assert lane.abandoned == 0
    lane.close()
    await until(lambda: not lane_threads())


async def test_one_that_gave_up_waiting_is_never_called(lane: ThreadLane) -> None:
    blocking = [Blocking(), Blocking()]
    running = [asyncio.create_task(lane.run(one)) for one in blocking]
    late = Blocking()
    waiting = asyncio.create_task(lane.run(late))
    await until(lambda: all(one.began.is_set() for one in blocking))
    waiting.cancel()
    for one in blocking:
        one.may_end.set()
    await asyncio.wait({*running, waiting})
    assert await lane.run(lambda: "next") == "next"
    assert not late.began.is_set()
    assert lane.abandoned == 0


def test_a_call_that_outlives_its_loop_ends_its_thread() -> None:
    stuck = Blocking()

    async def abandon() -> None:
        call = asyncio.create_task(ThreadLane(1).run(stuck))
        await until(stuck.began.is_set)
        call.cancel()
        await asyncio.wait({call})

    asyncio.run(abandon())
    (thread,) = lane_threads()
    stuck.may_end.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_stuck_thread_does_not_hold_up_the_end_of_the_process() -> None:
    ended = subprocess.run(
        lanes_owner.command("leave_a_stuck_thread"), capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stdout == "left 1\n"
