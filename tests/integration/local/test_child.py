"""Children on leashes: they end when told to, and with their parent."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.child import Child, Terms, stop_orphan
from support.processes import eventually, is_gone, parent_of, runner_as_we_are

SLEEP = "import time; time.sleep(600)"
STUBBORN = f"""
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
{SLEEP}
"""
FAMILY = f"""
import subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", "{SLEEP}"])
with open(sys.argv[1], "w") as file:
    file.write(f"{{grandchild.pid}}\\n")
{SLEEP}
"""


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def child(command: list[str], terms: Terms | None = None) -> Child:
    return Child(command, os.environ, terms or Terms(grace=5))


@pytest.mark.parametrize("code", [0, 3, 99])
def test_the_exit_code_comes_through(code: int) -> None:
    assert child(python(f"raise SystemExit({code})")).wait(10) == code


def test_the_end_by_a_signal_comes_through_as_its_negative_number() -> None:
    one = child(python(SLEEP))
    os.kill(one.pid, signal.SIGKILL)
    assert one.wait(10) == -signal.SIGKILL


def test_stop_sends_the_stop_signal() -> None:
    one = child(python(SLEEP))
    assert one.poll() is None
    assert one.stop() == -signal.SIGTERM
    assert is_gone(one.pid)


def test_a_child_that_ignores_the_stop_signal_is_killed_after_its_grace_time(tmp_path: Path) -> None:
    one = child(python(STUBBORN, tmp_path / "ready"), Terms(grace=0.3))
    eventually((tmp_path / "ready").exists)
    begin = time.monotonic()
    assert one.stop() == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - begin < 3


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    one = child(python(FAMILY, tmp_path / "pid"))
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    one.stop()
    eventually(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_program_that_is_missing_is_an_error_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HeadraceError, match="no-such-program could not be started"):
        child(["no-such-program"])
    assert "no-such-program" in capfd.readouterr().err


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, stubborn: bool) -> None:
    parent = runner_as_we_are().start("child_owner.py", "stubborn" if stubborn else "mild")
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not is_gone(pid)
    parent.kill()
    parent.communicate(timeout=10)
    eventually(lambda: is_gone(pid), 5)


def test_a_child_whose_leash_is_killed_is_killed_too() -> None:
    one = child(python(SLEEP))
    os.kill(parent_of(one.pid), signal.SIGKILL)
    eventually(lambda: one.poll() is not None)
    eventually(lambda: is_gone(one.pid))


def test_an_orphan_is_found_by_its_pid_file_and_stopped(tmp_path: Path) -> None:
    one = child(python(SLEEP), Terms(pid_file=tmp_path / "pid"))
    os.kill(parent_of(one.pid), signal.SIGKILL)
    assert stop_orphan(tmp_path / "pid", signal.SIGTERM)
    assert is_gone(one.pid)
    assert not (tmp_path / "pid").exists()
    one.wait(10)


def test_a_process_that_merely_has_the_pid_of_an_old_child_is_left_alone(tmp_path: Path) -> None:
    one = child(python(SLEEP))
    (tmp_path / "pid").write_text(f"{one.pid} another-start\n")
    assert not stop_orphan(tmp_path / "pid", signal.SIGKILL)
    assert one.poll() is None
    one.stop()


def test_the_pid_file_goes_with_the_child(tmp_path: Path) -> None:
    one = child(python(SLEEP), Terms(pid_file=tmp_path / "pid"))
    assert (tmp_path / "pid").read_text().split()[0] == str(one.pid)
    one.stop()
    assert not (tmp_path / "pid").exists()
