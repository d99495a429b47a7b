"""The lane of sandboxes: what it gives back, what it survives, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headrace.errors import Problem
from headrace.graph.json_types import JsonObject, JsonValue
from headrace.graph.outcome import Failed
from headrace.nodes.lanes import (
    Language,
    Program,
    Sandboxed,
    SandboxFailed,
    SandboxLimits,
    usual_limits,
)
from headrace.nodes.stored_source import ANYTHING, Parameter, input_schema
from headrace.sandbox import lane as lanes
from headrace.sandbox.cell.process_tree import children_of
from headrace.sandbox.checked import takes_of
from headrace.sandbox.lane import SandboxLane, check_source
from headrace.sandbox.support import SandboxSupport, sandbox_support
from support import sandbox_owner
from support.lanes import until
from support.processes import is_gone, runner_as_plain_user

pytestmark = pytest.mark.anyio

FOREVER = Program("python", "print('here')\nimport time\ntime.sleep(1000)")
LIMITS = SandboxLimits(seconds=30, memory_mb=64, output_bytes=1 << 20)


@pytest.fixture
async def lane() -> AsyncIterator[SandboxLane]:
    one = SandboxLane(2)
    yield one
    await one.close()


async def answer(lane: SandboxLane, source: str, payload: JsonValue = None) -> JsonValue:
    return (await lane.run(Program("python", source), payload, LIMITS)).output


async def failure(lane: SandboxLane, program: Program, limits: SandboxLimits = LIMITS) -> SandboxFailed:
    with pytest.raises(SandboxFailed) as caught:
        await lane.run(program, None, limits)
    return caught.value


_OTHERS: set[int] = set()
"""Children of this process that tests of other files have left running."""


@pytest.fixture(autouse=True)
def _others() -> None:
    _OTHERS.clear()
    _OTHERS.update(children_of(os.getpid()))


def nurseries() -> list[int]:
    return [pid for pid in children_of(os.getpid()) if pid not in _OTHERS]


def folder_of(cell: int) -> Path | None:
    """Where a cell works, once it has gone there."""
    folder = Path(os.readlink(f"/proc/{cell}/cwd"))
    return folder if "headrace-cells-" in folder.parent.name else None


async def test_a_payload_goes_and_an_output_comes(lane: SandboxLane) -> None:
    payload: JsonValue = {"text": "ü\n\U0001f30a", "list": [1, 2.5, None, True], "long": "x" * 500_000}
    assert await answer(lane, "return input", payload) == payload


async def test_no_two_programs_meet(lane: SandboxLane) -> None:
    assert await answer(lane, "import os, builtins\nbuiltins.kept = 1\nopen('kept', 'w')\nreturn os.getcwd()")
    assert await answer(lane, "import os, builtins\nreturn [os.listdir(), hasattr(builtins, 'kept')]") == [
        [],
        False,
    ]


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "import random\nreturn random.random()"),
        ("python", "import uuid\nreturn str(uuid.uuid4())"),
        ("javascript", "Math.random()"),
    ],
)
async def test_chance_is_not_inherited(lane: SandboxLane, language: Language, source: str) -> None:
    """All cells are forks of one process."""
    program = Program(language, source)
    drawn = [(await lane.run(program, None, LIMITS)).output for _ in range(10)]
    assert len(set(map(str, drawn))) == 10


async def test_what_it_wrote_is_gone(lane: SandboxLane) -> None:
    folder = await answer(lane, "import os\nopen('a', 'w').write('x')\nreturn os.getcwd()")
    assert not Path(str(folder)).exists()


async def test_many_share_a_few_places() -> None:
    lane = SandboxLane(3)
    sources = [
        "import time\nbegan = time.monotonic()\ntime.sleep(0.02)\nresult = [began, time.monotonic()]"
    ] * 20
    spans = await asyncio.gather(*(answer(lane, one) for one in sources))
    begins_and_ends = sorted([(span[0], 1) for span in spans] + [(span[1], -1) for span in spans])  # type: ignore[index]
    at_once = [sum(step for _, step in begins_and_ends[: n + 1]) for n in range(40)]
    assert 1 < max(at_once) <= 3
    await lane.close()


@pytest.mark.parametrize(
    ("source", "failed"),
    [
        (
            "import ctypes\nctypes.string_at(0)",
            Failed("the program's process was killed by SIGSEGV", "ProcessDied"),
        ),
        (
            "import os\nos._exit(7)",
            Failed("the program's process ended with status 7 before it answered", "ProcessDied"),
        ),
        ("x = bytearray(1 << 40)", Failed("the program needs more memory", "MemoryError", retryable=False)),
        (
            "while True: print('x' * 1000)",
            Failed("the program wrote more than 1048576 bytes", "OutputTooLarge", retryable=False),
        ),
    ],
)
async def test_a_death_is_its_program_s_own(lane: SandboxLane, source: str, failed: Failed) -> None:
    assert (await failure(lane, Program("python", source))).failed == failed
    assert await answer(lane, "return 1") == 1


@pytest.mark.parametrize("depth", [200, 1_000, 100_000])  # for the log, for Python, for the engine's stack
@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("python", "v = 'x'\nfor i in range(DEPTH): v = [v]\nreturn v"),
        ("javascript", "let v = 'x'; for (let i = 0; i < DEPTH; i++) v = [v]; v"),
    ],
)
async def test_an_output_that_is_nested_too_deep_is_not_tried_again(
    lane: SandboxLane, language: Language, source: str, depth: int
) -> None:
    program = Program(language, source.replace("DEPTH", str(depth)))
    failed = Failed("the output is nested too deep", "BadOutput", retryable=False)
    assert (await failure(lane, program)).failed == failed


async def test_a_program_without_end_in_itself_is_no_deep_output(lane: SandboxLane) -> None:
    program = Program("javascript", "const f = (n) => f(n + 1) + 1; Promise.resolve().then(() => f(0))")
    assert (await failure(lane, program)).failed.kind == "RangeError"


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_what_does_not_end_is_ended(lane: SandboxLane, language: Language) -> None:
    limits = SandboxLimits(seconds=0.2, memory_mb=32, output_bytes=1 << 16)
    error = await failure(
        lane, Program(language, "while (1) {}" if language == "javascript" else "while 1: 0"), limits
    )
    assert error.failed == Failed("the program took longer than 0.2 s", "Timeout")


async def test_what_was_written_comes_with_the_failure(lane: SandboxLane) -> None:
    limits = SandboxLimits(seconds=0.5, memory_mb=64, output_bytes=1 << 16)
    assert (await failure(lane, FOREVER, limits)).log == ("here",)


async def test_a_cancelled_program_is_killed(lane: SandboxLane) -> None:
    running = asyncio.create_task(lane.run(FOREVER, None, LIMITS))
    (nursery,) = await until(nurseries)
    (cell,) = await until(lambda: children_of(nursery))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: is_gone(cell))
    assert await answer(lane, "return 1") == 1


async def test_a_program_may_be_cancelled_at_any_moment() -> None:
    """Also while its nursery starts: warnings of what was not closed are errors here."""
    for steps in range(40):
        lane = SandboxLane(1)
        if steps % 2:
            await answer(lane, "return 1")
        running = asyncio.create_task(lane.run(FOREVER, None, LIMITS))
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await lane.close()
    await until(lambda: nurseries() == [])


async def test_a_nursery_that_died_is_replaced(lane: SandboxLane) -> None:
    assert await answer(lane, "return 1") == 1
    running = asyncio.create_task(lane.run(FOREVER, None, LIMITS))
    (nursery,) = nurseries()
    (cell,) = await until(lambda: children_of(nursery))
    folder = await until(lambda: folder_of(cell))
    os.kill(nursery, signal.SIGKILL)
    with pytest.raises(SandboxFailed) as caught:
        await running
    assert caught.value.failed == Failed("the sandbox has ended before the program", "ProcessDied")
    await until(lambda: is_gone(cell))
    assert await answer(lane, "return 2") == 2
    assert not folder.parent.exists()


async def test_closing_kills_what_runs() -> None:
    lane = SandboxLane(1)
    running = asyncio.create_task(lane.run(FOREVER, None, LIMITS))
    (nursery,) = await until(nurseries)
    (cell,) = await until(lambda: children_of(nursery))
    await lane.close()
    assert is_gone(nursery)
    assert is_gone(cell)
    with pytest.raises(SandboxFailed):
        await running


async def test_all_ends_with_its_owner() -> None:
    with subprocess.Popen(sandbox_owner.command()) as owner:
        (nursery,) = await until(lambda: children_of(owner.pid))
        (cell,) = await until(lambda: children_of(nursery))
        folder = await until(lambda: folder_of(cell))
        owner.kill()
        await until(lambda: is_gone(nursery))
    assert is_gone(cell)
    assert not folder.parent.exists()


async def test_a_worker_that_is_not_root_has_walls_too() -> None:
    """Then cells have the worker's own user: the kernel would let them signal it and look into it."""
    sources = [
        "import os\nopen('own', 'w')\nreturn os.listdir()",
        "import wave\nreturn wave.__name__",  # a module that was not loaded before
        "import os\nos.kill(input, 9)",
        "import os\nos.kill(os.getppid(), 9)",
        "return open(f'/proc/{input}/environ').read()",
        "import os\nreturn os.readlink(f'/proc/{input}/cwd')",
        "import fcntl, socket\na, b = socket.socketpair()\nfcntl.fcntl(a, fcntl.F_SETOWN, input)",
        "import resource\nresource.prlimit(input, resource.RLIMIT_NOFILE, (0, 0))",
        "import os\nos.fork()",
        "import socket\nsocket.socket()",
        "return open('/etc/passwd').read()",
    ]
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        probe = runner_as_plain_user(Path(folder)).start("sandbox_probe.py")
        asked = json.dumps({"sources": sources, "payload": probe.pid})
        out, _ = await asyncio.to_thread(probe.communicate, asked, 30)
    assert json.loads(out) == [["own"], "wave", *["PermissionError"] * 9]


async def test_lines_are_cut(lane: SandboxLane) -> None:
    source = "for n in range(2000): print(n)"
    log = (await lane.run(Program("python", source), None, LIMITS)).log
    assert (len(log), log[0], log[-1]) == (1000, "0", "(1001 more lines)")


async def test_the_entry_is_called(lane: SandboxLane) -> None:
    program = Program(
        "python", "def other(): pass\ndef greet(name, loud=False): return [name, loud]", "greet"
    )
    assert (await lane.run(program, {"name": "Ada", "more": 1}, LIMITS)).output == ["Ada", False]
    program = Program("javascript", "const greet = ({ name }) => [name]", "greet")
    assert (await lane.run(program, {"name": "Ada"}, usual_limits("javascript"))).output == ["Ada"]


@pytest.mark.parametrize(("language", "source"), [("python", "x = 1"), ("javascript", "var x = 1")])
async def test_an_entry_that_is_not_there(lane: SandboxLane, language: Language, source: str) -> None:
    error = await failure(lane, Program(language, source, "greet"))
    assert error.failed.kind == "NoSuchFunction"


@pytest.mark.parametrize(
    ("language", "source", "exports"),
    [
        ("python", "raise SystemExit\ndef a(): pass\nasync def b(): pass\ndef _c(): pass", ("a", "b")),
        ("javascript", "function a() {} const b = () => 1, c = 1; exports.d = () => 2", ("a", "b", "d")),
    ],
)
async def test_a_source_is_checked(language: Language, source: str, exports: tuple[str, ...]) -> None:
    checked = await check_source(language, source, exports[0])
    assert (checked.problems, checked.exports) == ((), exports)


@pytest.mark.parametrize(
    ("language", "source", "problem"),
    [
        ("python", "x = 1\ndef a(:", Problem("source", "SyntaxError: invalid syntax (line 2)")),
        ("python", "def b(): pass", Problem("entry", "there is no function 'a'", "one of: b")),
        (
            "python",
            "x = '\0'",
            Problem("source", "SyntaxError: source code string cannot contain null bytes"),
        ),
        ("javascript", "function a( {", Problem("source", "SyntaxError: invalid property name (line 1)")),
        ("javascript", "while (true);", Problem("source", "the program took longer than 0.25 s")),
    ],
)
async def test_a_source_is_found_wrong(language: Language, source: str, problem: Problem) -> None:
    assert (await check_source(language, source, "a")).problems == (problem,)


def _schema(*required: str, **properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {**properties}, "required": [*required]}


TAKES: list[tuple[Language, str, JsonObject]] = [
    (
        "python",
        "def f(to: str, n: int = 1, *, ok: bool): ...",
        _schema("to", "ok", to={"type": "string"}, n={"type": "integer"}, ok={"type": "boolean"}),
    ),
    ("python", "async def f(a, /, b: list[str] = ()): ...", _schema("a", a={}, b={"type": "array"})),
    ("python", "def f(x: 'Order', y: float | None = None): ...", _schema("x", x={}, y={})),
    ("python", "def f(*, a=1, b): ...", _schema("b", a={}, b={})),
    ("python", "def f(): ...", _schema()),
    ("python", "def f(task_input): ...", ANYTHING),
    ("python", "def f(**all): ...", ANYTHING),
    (
        "javascript",
        "export async function f({ to, subject, body = '' }) {}",
        _schema("to", "subject", to={}, subject={}, body={}),
    ),
    ("javascript", "exports.f = async ({ a, b: c }) => a + c;", _schema("a", "b", a={}, b={})),
    ("javascript", "const f = async function ({ a }) {};", _schema("a", a={})),
    ("javascript", "module.exports = { f: ({ a }) => a };", _schema("a", a={})),
    ("javascript", "module.exports = { f({ a }) {} };", _schema("a", a={})),
    ("javascript", "function f(input) {}", ANYTHING),
    ("javascript", "function f({ ...rest }) {}", ANYTHING),
    ("javascript", "/* f = ({ a }) */\nfunction f() {}", ANYTHING),
]


@pytest.mark.parametrize(("language", "source", "schema"), TAKES)
async def test_a_function_says_what_it_takes(language: Language, source: str, schema: JsonObject) -> None:
    checked = await check_source(language, source, "f")
    assert checked.problems == ()
    assert input_schema(checked.takes, "f") == schema


@pytest.mark.parametrize(
    "said",
    [
        '"a"',
        '[["a"]]',
        '[["a", "string", 1]]',
        '[["a b", "string", true]]',
        '[["a", "nothing", true]]',
        '[["a", "", true], null]',
    ],
)
def test_what_a_cell_says_of_parameters_is_read_as_a_strangers(said: str) -> None:
    assert takes_of({"f": json.loads(said), "g": [["b", "", False]]}) == {"g": (Parameter("b", "", False),)}


async def test_a_module_runs_as_it_stands(lane: SandboxLane) -> None:
    source = "export const line = `\nexport const x = 1\n`;\nexport default  function greet() { return line }"
    answer = await lane.run(Program("javascript", source, "greet"), None, usual_limits("javascript"))
    assert answer.output == "\nexport const x = 1\n"


async def test_what_is_wrong_with_a_module_is_said_of_it() -> None:
    checked = await check_source("javascript", "export const a = 1;\nexport const b = ;", "a")
    (problem,) = checked.problems
    assert "(line 2)" in problem.message
    assert "export" not in problem.message


async def test_a_kernel_without_walls_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "sandbox_support", lambda: SandboxSupport(0, True, ""))
    error = await failure(SandboxLane(1), Program("python", "open('/tmp/escaped', 'w')"))
    reason = (
        "this machine has no sandbox: it lacks Landlock (Linux 5.13); HEADRACE_UNSAFE_CODE=1 runs it without"
    )
    assert error.failed == Failed(reason, "SandboxUnavailable", retryable=False)


async def test_a_kernel_without_walls_runs_what_it_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sandbox_support().javascript
    monkeypatch.setattr(lanes, "sandbox_support", lambda: SandboxSupport(0, False, engine))
    lane = SandboxLane(1, allows_unsafe=True)
    assert await answer(lane, "import os\nreturn os.path.exists('/')") is True
    assert (await lane.run(Program("javascript", "1 + 1"), None, LIMITS)).output == 2
    await lane.close()


async def test_bash_has_no_sandbox(lane: SandboxLane) -> None:
    error = await failure(lane, Program("bash", "echo"))
    assert error.failed.kind == "SandboxUnavailable"


@pytest.mark.parametrize(
    ("source", "done"),
    [
        ("read line; echo $line", Sandboxed({"a": 1}, ('{"a": 1}',))),
        ("echo one; echo two", Sandboxed("one\ntwo", ("one", "two"))),
        ("(sleep 1000 &) ; setsid sleep 1000 & echo 1", Sandboxed(1, ("1",))),
    ],
)
async def test_bash_runs_where_it_is_allowed(source: str, done: Sandboxed) -> None:
    lane = SandboxLane(1, allows_unsafe=True)
    assert await lane.run(Program("bash", source), {"a": 1}, LIMITS) == done
    (nursery,) = nurseries()
    await until(lambda: children_of(nursery) == [])
    await lane.close()


async def test_bash_that_fails() -> None:
    lane = SandboxLane(1, allows_unsafe=True)
    error = await failure(lane, Program("bash", "echo before; exit 3"))
    assert (error.failed, error.log) == (Failed("bash ended with status 3", "ExitStatus"), ("before",))
    await lane.close()
