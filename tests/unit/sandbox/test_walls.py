"""The parts of the walls that are decided before the kernel is asked: filters, rights, sizes."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.graph.json_types import JsonValue
from headrace.graph.outcome import Failed
from headrace.nodes.lanes import PYTHON_LIMITS, Sandboxed, SandboxFailed
from headrace.sandbox.answers import lines_of, sandboxed_of
from headrace.sandbox.cell import landlock
from headrace.sandbox.cell.seccomp import filter_program
from headrace.sandbox.cell.syscalls import FOR_FILES, PARTLY, TO_COMPUTE
from headrace.sandbox.cell.wire import End
from headrace.sandbox.owner import Ended

KILL, ALLOW, REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
PROCESSORS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}


def verdict(program: bytes, processor: int, number: int, *arguments: int) -> int:
    """What the kernel would say: an interpreter of the few instructions that filters use."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, processor, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"instruction {code}")


def allowed(machine: str, with_files: bool) -> Iterator[int]:
    for table in (TO_COMPUTE, FOR_FILES) if with_files else (TO_COMPUTE,):
        yield from (one[COLUMN[machine]] for one in table.values() if one[COLUMN[machine]] is not None)


@pytest.mark.parametrize("machine", PROCESSORS)
@pytest.mark.parametrize("with_files", [True, False])
def test_a_filter_allows_its_list_and_no_more(machine: str, with_files: bool) -> None:
    program = filter_program(machine, with_files)
    expected = set(allowed(machine, with_files))
    found = {number for number in range(2048) if verdict(program, PROCESSORS[machine], number) == ALLOW}
    partly = {
        one.numbers[COLUMN[machine]]
        for one in PARTLY.values()
        if all(0 in given.values for given in one.given)
    } - {None}
    assert found == expected | (partly if with_files else set())


@pytest.mark.parametrize("machine", PROCESSORS)
def test_numbers_of_another_processor_kill(machine: str) -> None:
    program = filter_program(machine, with_files=True)
    others = {0x40000003, *PROCESSORS.values()} - {PROCESSORS[machine]}
    assert {verdict(program, other, 0) for other in others} == {KILL}


@given(number=st.sampled_from([0, 1, 9, 39, 59, 257]))
def test_the_second_numbers_of_x86_64_are_refused(number: int) -> None:
    """x32: the same processor by another name, with a bit set in each number."""
    assert verdict(filter_program("x86_64", True), PROCESSORS["x86_64"], number | 0x40000000) == REFUSE


@pytest.mark.parametrize("machine", PROCESSORS)
@pytest.mark.parametrize("name", PARTLY)
@given(values=st.lists(st.integers(0, 2) | st.integers(0, 2**32 - 1), min_size=6, max_size=6))
def test_some_calls_are_allowed_in_part(machine: str, name: str, values: list[int]) -> None:
    one = PARTLY[name]
    number = one.numbers[COLUMN[machine]]
    if number is None:
        return
    is_allowed = all(values[given.argument] & given.mask in given.values for given in one.given)
    expected = ALLOW if is_allowed else REFUSE
    assert verdict(filter_program(machine, True), PROCESSORS[machine], number, *values) == expected


@pytest.mark.parametrize("machine", PROCESSORS)
def test_pairs_of_sockets_are_streams_of_unix(machine: str) -> None:
    program, number = filter_program(machine, True), PARTLY["socketpair"].numbers[COLUMN[machine]]
    assert number is not None
    families, kinds = range(46), (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
    found = {
        (family, kind)
        for family in families
        for kind in kinds
        if verdict(program, PROCESSORS[machine], number, family, kind) == ALLOW
    }
    assert found == {(socket.AF_UNIX, socket.SOCK_STREAM)}


@pytest.mark.parametrize("machine", PROCESSORS)
@pytest.mark.parametrize("name", ["open", "openat"])
@pytest.mark.parametrize("more", [0, os.O_CREAT, os.O_CLOEXEC, os.O_APPEND | os.O_CREAT, 1 << 31])
def test_no_file_is_cut_by_who_does_not_write_it(machine: str, name: str, more: int) -> None:
    """Before its third version, Landlock lets them: see the table."""
    one = PARTLY[name]
    number = one.numbers[COLUMN[machine]]
    if number is None:
        return
    flags = {
        os.O_RDONLY: ALLOW,
        os.O_WRONLY: ALLOW,
        os.O_RDWR: ALLOW,
        os.O_WRONLY | os.O_TRUNC: ALLOW,
        os.O_RDWR | os.O_TRUNC: ALLOW,
        os.O_RDONLY | os.O_TRUNC: REFUSE,
        3: REFUSE,
        3 | os.O_TRUNC: REFUSE,
    }
    program = filter_program(machine, True)
    given = {one: [7] * PARTLY[name].given[0].argument + [one | more] for one in flags}
    assert {one: verdict(program, PROCESSORS[machine], number, *given[one]) for one in flags} == flags


@pytest.mark.parametrize(
    ("version", "files", "tcp", "scopes"),
    [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (5, 16, 3, 0), (6, 16, 3, 3), (9, 16, 3, 3)],
)
def test_each_version_of_landlock_handles_what_it_knows(
    version: int, files: int, tcp: int, scopes: int
) -> None:
    assert landlock.handled(version) == ((1 << files) - 1, tcp, scopes)


@pytest.mark.parametrize(
    ("out", "lines"),
    [
        (b"", ()),
        (b"a\nb\n", ("a", "b")),
        (b"a\r\n\nb", ("a", "", "b")),
        (b"\xff\0", ("\ufffd\\0",)),
        (b"x" * 30_000, ("x" * 20_000,)),
        (b"\x1b[2Jgood\rbad\t\xc2\x9b1m", ("\\u001b[2Jgood\\u000dbad\t\\u009b1m",)),
        ("\u202egnp".encode(), ("\\u202egnp",)),
        (b"\x1b" * 30_000, (("\\u001b" * 4_000)[:20_000],)),
    ],
)
def test_lines(out: bytes, lines: tuple[str, ...]) -> None:
    assert lines_of(out) == lines


def test_what_bash_answers_is_left_as_it_is() -> None:
    out = Ended(None, b"\x1b[1mbold", End(status=0, why="", seconds=1.0))
    assert sandboxed_of("bash", PYTHON_LIMITS, out) == Sandboxed("\x1b[1mbold", ("\\u001b[1mbold",))


def ended(answer: bytes | None, status: int = 0) -> Ended:
    return Ended(answer, b"", End(status=status, why="", seconds=1.0))


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b'{"output": 1}',
        b'{"output": NaN, "trouble": null}',
        b'{"output": 1e999, "trouble": null}',
        b'{"output": 1, "trouble": null, "more": 1}',
        b'{"output": 1, "trouble": 1}',
        b'{"output": 1, "trouble": {"kind": "A"}}',
        b'{"output": 1, "trouble": {"kind": 1, "message": "", "line": 0, "retryable": true}}',
    ],
)
def test_nonsense_is_no_answer(forged: bytes) -> None:
    with pytest.raises(SandboxFailed) as caught:
        sandboxed_of("python", PYTHON_LIMITS, ended(forged))
    message = "the program's process ended with status 0 before it answered"
    assert caught.value.failed == Failed(message, "ProcessDied")


def forged(said: object, line: int = 0) -> bytes:
    """What a cell would send that does not cut: its program may have changed how it does that."""
    trouble = {"kind": "K" * 10_000, "message": "m" * 500_000, "line": line, "retryable": True, "said": said}
    return json.dumps({"output": None, "trouble": trouble}).encode()


@pytest.mark.parametrize(
    ("said", "line", "details"),
    [
        (None, 7, {"line": 7}),
        (None, True, {"line": 1}),
        (None, -7, None),
        (None, 10**30, None),
        ({"details": "d" * 9_000, "after": None}, 0, None),
        ({"details": ["d"] * 5_000, "after": None}, 0, None),
        ({"details": "d" * 8_000, "after": None}, 0, "d" * 8_000),
    ],
)
def test_a_failure_that_was_not_cut_inside_is_cut_outside(
    said: object, line: int, details: JsonValue
) -> None:
    with pytest.raises(SandboxFailed) as caught:
        sandboxed_of("python", PYTHON_LIMITS, ended(forged(said, line)))
    failed = caught.value.failed
    assert (failed.kind, failed.message, failed.details) == ("K" * 100, "m" * 4_000, details)
    assert repr(failed.details) == repr(details)


@pytest.mark.parametrize("depth", [201, 100_000])
def test_an_answer_that_is_nested_too_deep_is_not_asked_for_again(depth: int) -> None:
    with pytest.raises(SandboxFailed) as caught:
        sandboxed_of(
            "python",
            PYTHON_LIMITS,
            ended(b'{"output": ' + b"[" * depth + b"]" * depth + b', "trouble": null}'),
        )
    assert caught.value.failed == Failed("the output is nested too deep", "BadOutput", retryable=False)


@given(answer=st.binary(max_size=100))
def test_no_answer_raises_anything_else(answer: bytes) -> None:
    with pytest.raises(SandboxFailed):
        sandboxed_of("python", PYTHON_LIMITS, ended(answer))


@pytest.mark.parametrize(
    ("text", "output"),
    [('"a\\u0000b"', "ab"), ('"\\ud800"', "\ufffd"), ("1.5", 1.5), ('{"__proto__": 1}', {"__proto__": 1})],
)
def test_what_cannot_be_stored_is_taken_out(text: str, output: JsonValue) -> None:
    answer = f'{{"output": {text}, "trouble": null}}'.encode()
    assert sandboxed_of("python", PYTHON_LIMITS, ended(answer)) == Sandboxed(output)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (-11, "ProcessDied", "the program's process was killed by SIGSEGV"),
        (-200, "ProcessDied", "the program's process was killed by signal 200"),
        (-24, "Timeout", "the program took longer than 30 s"),
    ],
)
def test_deaths_have_names(status: int, kind: str, message: str) -> None:
    with pytest.raises(SandboxFailed) as caught:
        sandboxed_of("python", PYTHON_LIMITS, ended(None, status))
    assert (caught.value.failed.kind, caught.value.failed.message) == (kind, message)
