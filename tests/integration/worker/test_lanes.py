"""Code that is not async, in real threads and processes: whatever it does, only its own attempt fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed
from headrace.nodes.lanes import AttemptFailed
from headrace_worker.isolated_pool import IsolatedPool
from support import lanes_owner
from support import misbehaving as code
from support.lanes import until
from support.misbehaving import named
from support.processes import is_gone

pytestmark = pytest.mark.anyio

MEMORY_MB = 256


@pytest.fixture
async def pool() -> AsyncIterator[IsolatedPool]:
    one = IsolatedPool(2, MEMORY_MB)
    yield one
    pids = one.pids
    await one.close()
    assert all(is_gone(pid) for pid in pids)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """Where code in a child writes a pid."""
    return tmp_path / "note"


async def noted(file: Path) -> int:
    """The pid that code has written there."""
    return int(await until(lambda: file.exists() and file.read_text()))


async def gone(pid: int) -> None:
    await until(lambda: is_gone(pid))


async def failure(pool: IsolatedPool, function: Callable[..., object], payload: JsonValue = None) -> Failed:
    with pytest.raises(AttemptFailed) as caught:
        await pool.run(named(function), payload)
    assert await pool.run(named(code.echo), "next") == "next"
    return caught.value.failed


@pytest.mark.parametrize("function", [code.echo, code.echo_later])
async def test_a_payload_goes_and_an_output_comes(
    pool: IsolatedPool, function: Callable[..., object]
) -> None:
    payload: JsonValue = {"text": "ü\n\ud800 \x00", "list": [1, 2.5, None, True], "long": "x" * (1 << 20)}
    assert await pool.run(named(function), payload) == payload


async def test_a_child_is_used_again(pool: IsolatedPool) -> None:
    assert await pool.run(named(code.Nested.name), None) == "nested"
    assert len({await pool.run(named(code.pid), None) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("function", "payload", "message"),
    [
        (code.segfault, None, "the process was killed by SIGSEGV"),
        (code.kill_itself, None, "the process was killed by SIGKILL, perhaps for lack of memory"),
        (code.exit_with, 3, "the process exited with status 3 before it answered"),
        (code.exit_with, "a word", "the process exited with status 1 before it answered"),
        (code.exit_with, None, "the process exited with status 0 before it answered"),
        (code.exit_despite_a_thread, None, "the process exited with status 5 before it answered"),
        (code.exit_at_once, None, "the process exited with status 4 before it answered"),
        (code.kill_its_guard, None, "the process was killed by SIGKILL, perhaps for lack of memory"),
        (code.close_all, None, "the process was killed by SIGKILL, perhaps for lack of memory"),
    ],
)
async def test_a_death_fails_its_call_alone(
    pool: IsolatedPool, function: Callable[..., object], payload: JsonValue, message: str
) -> None:
    assert await failure(pool, function, payload) == Failed(message, kind="ProcessDied")


@pytest.mark.parametrize("function", [code.eat_in_one_bite, code.eat_crumbs])
async def test_too_much_memory_is_an_error_like_others(
    pool: IsolatedPool, function: Callable[..., object]
) -> None:
    failed = await failure(pool, function)
    assert failed == Failed(f"MemoryError: the code needs more than {MEMORY_MB} MiB", kind="MemoryError")


async def test_a_child_that_grew_large_is_replaced(pool: IsolatedPool) -> None:
    """Else a later call, which needs little, would fail for what this one has left."""
    large = await pool.run(named(code.pid), None)
    assert await pool.run(named(code.keep_much), 140 << 20) == 140 << 20
    assert await pool.run(named(code.pid), None) != large


@pytest.mark.parametrize(
    ("function", "payload", "failed"),
    [
        (code.divide_by, 0, Failed("ZeroDivisionError: division by zero", kind="ZeroDivisionError")),
        (code.lack_something, None, Failed("no such company", kind="NotFound", retryable=False)),
        (code.interrupt, None, Failed("KeyboardInterrupt: ", kind="KeyboardInterrupt")),
    ],
)
async def test_an_exception_keeps_its_type(
    pool: IsolatedPool, function: Callable[..., object], payload: JsonValue, failed: Failed
) -> None:
    child = await pool.run(named(code.pid), None)
    assert await failure(pool, function, payload) == failed
    assert await pool.run(named(code.pid), None) == child


async def test_a_long_message_is_cut(pool: IsolatedPool) -> None:
    assert len((await failure(pool, code.speak_at_length)).message) == 20_000


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("support.no_such_module:f", "ModuleNotFoundError"),
        ("support.misbehaving:no_such_function", "AttributeError"),
        ("support.misbehaving:MODULE", "TypeError"),
    ],
)
async def test_a_function_that_is_none_fails(pool: IsolatedPool, function: str, kind: str) -> None:
    with pytest.raises(AttemptFailed) as caught:
        await pool.run(function, None)
    assert caught.value.failed.kind == kind


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (code.unstorable, "the output is not JSON: Object of type object is not JSON serializable"),
        (code.circular, "the output is not JSON: Circular reference detected"),
        (code.endless_text, "the output has 17825843 bytes, more than 16777216"),
    ],
)
async def test_an_output_that_nobody_can_read_is_refused(
    pool: IsolatedPool, function: Callable[..., object], message: str
) -> None:
    assert await failure(pool, function) == Failed(message, kind="BadOutput", retryable=False)


async def test_prints_go_to_the_log_and_nothing_comes_in(
    pool: IsolatedPool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await pool.run(named(code.print_a_lot), None) == ""
    out, err = capfd.readouterr()
    assert out == ""
    assert '{"output": "wrong"}' in err
    assert "past Python's buffers" in err


async def test_nonsense_from_a_child_ends_it(pool: IsolatedPool) -> None:
    assert await failure(pool, code.babble) == Failed("a message of 4294967295 bytes", kind="ProcessDied")


@pytest.mark.parametrize("function", [code.hang, code.hang_deaf, code.hang_and_stop_its_guard])
async def test_what_does_not_end_is_killed(
    pool: IsolatedPool, note: Path, function: Callable[..., object]
) -> None:
    hanging = asyncio.create_task(pool.run(named(function), str(note)))
    pid = await noted(note)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await gone(pid)
    assert await pool.run(named(code.echo), "next") == "next"


async def test_a_cancelled_call_gives_its_place_to_the_next(note: Path) -> None:
    pool = IsolatedPool(1, MEMORY_MB)
    hanging = asyncio.create_task(pool.run(named(code.hang), str(note)))
    pid = await noted(note)
    waiting = asyncio.create_task(pool.run(named(code.pid), None))
    given_up = asyncio.create_task(pool.run(named(code.pid), None))
    await asyncio.sleep(0)
    given_up.cancel()
    hanging.cancel()
    assert await waiting != pid
    assert is_gone(pid)
    await asyncio.wait({hanging, given_up})
    await pool.close()


@pytest.mark.parametrize("then", ["crash", "return"])
@pytest.mark.parametrize("detached", [False, True] if sys.platform == "linux" else [False])
async def test_grandchildren_end_with_their_call(
    pool: IsolatedPool, note: Path, then: str, detached: bool
) -> None:
    options: JsonValue = {"file": str(note), "then": then, "detached": detached}
    if then == "return":
        await pool.run(named(code.with_a_grandchild), options)
    else:
        assert (await failure(pool, code.with_a_grandchild, options)).kind == "ProcessDied"
    await gone(await noted(note))


@pytest.mark.parametrize("detached", [False, True] if sys.platform == "linux" else [False])
async def test_grandchildren_are_killed_with_a_cancelled_call(
    pool: IsolatedPool, note: Path, detached: bool
) -> None:
    options: JsonValue = {"file": str(note), "then": "hang", "detached": detached}
    hanging = asyncio.create_task(pool.run(named(code.with_a_grandchild), options))
    grandchild = await noted(note)
    hanging.cancel()
    await gone(grandchild)


async def test_code_that_forks_answers_once(pool: IsolatedPool) -> None:
    assert [await pool.run(named(code.fork_and_return), None) for _ in range(5)] == ["parent"] * 5
    assert await pool.run(named(code.echo), "next") == "next"


async def test_twenty_calls_share_two_children(pool: IsolatedPool) -> None:
    calls = [pool.run(named(code.pid), None) for _ in range(20)]
    assert 1 <= len(set(await asyncio.gather(*calls))) <= 2
    assert len(pool.pids) <= 2


async def test_an_idle_child_ends() -> None:
    pool = IsolatedPool(1, MEMORY_MB, idle_seconds=0.01)
    first = await pool.run(named(code.pid), None)
    await until(lambda: not pool.pids)
    assert await pool.run(named(code.pid), None) != first
    await pool.close()


async def test_a_child_that_died_while_idle_is_replaced(pool: IsolatedPool) -> None:
    first = await pool.run(named(code.pid), None)
    (guard,) = pool.pids
    os.kill(guard, signal.SIGKILL)
    await until(lambda: is_gone(guard))
    assert await pool.run(named(code.pid), None) != first


async def test_closing_the_pool_fails_what_runs(note: Path) -> None:
    pool = IsolatedPool(1, MEMORY_MB)
    hanging = asyncio.create_task(pool.run(named(code.hang), str(note)))
    pid = await noted(note)
    await pool.close()
    assert is_gone(pid)
    with pytest.raises(AttemptFailed, match="SIGKILL"):
        await hanging


async def test_all_die_with_the_worker(note: Path) -> None:
    with subprocess.Popen(
        lanes_owner.command("hang_in_a_child", str(note)), stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        fork, guard = (int(pid) for pid in (await asyncio.to_thread(owner.stdout.readline)).split())
        grandchild = await noted(note)
        try:
            owner.kill()
            await gone(guard)
            await gone(grandchild)
        finally:
            os.kill(fork, signal.SIGKILL)
