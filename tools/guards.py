"""`make guards`: takes each guard that runs rest on out of a copy of the code. A test must turn red.

A guard whose removal no test notices is not tested. The exit code is 1 when there is one, or when the tests
are red with all guards in their places.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_COPIED = ("app", "worker", "tests", "examples", "benchmarks", "docs", "pyproject.toml")
_ALL_GREEN, _SOME_RED = 0, 1
_SECONDS = 600
_DELIVERIES = "tests/integration/engine/test_deliveries.py"
_GUARDS = "tests/integration/store/test_guards.py"
_RACES = "tests/integration/engine/test_races.py"
_AHEAD = "tests/integration/engine/test_ahead.py"
_SWEEP = "tests/integration/engine/test_sweep.py"


@dataclass(frozen=True)
class Guard:
    """What stands between a fault and a run. code: it, and what is there without it. tests: that notice."""

    title: str
    file: str
    code: tuple[str, str]
    tests: tuple[str, ...]


GUARDS = (
    Guard(
        "the token fence of a settlement",
        "app/headrace/store/claims.py",
        ("WHERE t.status = ANY($12) AND t.token = g.token", "WHERE t.status = ANY($12)"),
        (_GUARDS, _DELIVERIES),
    ),
    Guard(
        "the token fence of a hand-over",
        "app/headrace/store/shortcut.py",
        ("AND t.position = g.position AND t.token = g.token", "AND t.position = g.position"),
        (_GUARDS, _AHEAD),
    ),
    Guard(
        "compare-and-set in a claim",
        "app/headrace/store/claims.py",
        ("AND t.attempt = w.attempt AND t.delivery = w.delivery", ""),
        (_GUARDS, _DELIVERIES),
    ),
    Guard(
        "the re-delivery of lost jobs",
        "app/headrace/store/recovery.py",
        (
            "return [queued(row) for row in await tx.fetch(_OVERDUE, seconds, limit)]",
            "return [queued(row) for row in await tx.fetch(_OVERDUE, seconds, limit)][:0]",
        ),
        (_SWEEP,),
    ),
    Guard(
        "the next delivery of tasks whose lease ran out",
        "app/headrace/store/recovery.py",
        (
            'condition="lease_until < clock_timestamp() - make_interval(secs => $1)"',
            'condition="lease_until < clock_timestamp() - make_interval(secs => $1) AND false"',
        ),
        (_SWEEP,),
    ),
    Guard(
        "the run's lock in a release",
        "app/headrace/store/runs.py",
        ("WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", "WHERE id = ANY($1) ORDER BY id"),
        (_RACES,),
    ),
    Guard(
        "the run's lock in a hand-over",
        "app/headrace/store/shortcut.py",
        ("WHERE id = ANY($14) ORDER BY id FOR NO KEY UPDATE", "WHERE id = ANY($14) ORDER BY id"),
        (_AHEAD, _RACES),
    ),
    Guard(
        "the look at all parents before what ran ahead counts",
        "app/headrace/store/shortcut.py",
        ("WHERE (f.run_id IN (SELECT id FROM whole)) IS TRUE", "WHERE true"),
        (_AHEAD,),
    ),
)


def main() -> int:
    """Takes out one guard after the other."""
    with tempfile.TemporaryDirectory(prefix="headrace-guards-") as folder:
        copy = Path(folder)
        for name in _COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        wanted = sorted({test for guard in GUARDS for test in guard.tests})
        if _run(copy, wanted) != _ALL_GREEN:
            _say("the tests are red with all guards in their places")
            return 1
        return max([_noticed(copy, guard) for guard in GUARDS])


def _noticed(copy: Path, guard: Guard) -> int:
    file, (code, without) = copy / guard.file, guard.code
    whole = file.read_text()
    if whole.count(code) != 1:
        _say(f"NOT FOUND    {guard.title}: {guard.file} does not hold it once")
        return 1
    file.write_text(whole.replace(code, without))
    try:
        is_red = _run(copy, guard.tests) == _SOME_RED
    finally:
        file.write_text(whole)
    _say(f"{'red, as it must be' if is_red else 'STILL GREEN'}  without {guard.title}")
    return 0 if is_red else 1


def _run(copy: Path, tests: tuple[str, ...] | list[str]) -> int:
    command = (sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests)
    path = os.pathsep.join(str(copy / name) for name in ("app", "worker"))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        command, cwd=copy, env=environment, timeout=_SECONDS, check=False, capture_output=True, text=True
    )
    return done.returncode


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
