"""Where peers live: virtual environments and Node packages, made once, at pinned versions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT

HOME = ROOT / "benchmarks" / ".peers"
NODE_HOME = ROOT / "benchmarks" / "peers" / "bullmq"

_INSTALL_SECONDS = 300


class NotInstalled(Exception):
    """A peer's environment cannot be made here; says why."""


@dataclass(frozen=True)
class PythonEnvironment:
    """A virtual environment with some requirements, such as `celery[redis]==5.7.0`."""

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return HOME / self.name

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def prepare(self) -> None:
        """Makes it unless it is there with these requirements; raises NotInstalled."""
        stamp = self.folder / "requirements.txt"
        wanted = "\n".join(self.requirements)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(self.folder)])
        _run([self.program("python"), "-m", "pip", "install", "-q", *self.requirements])
        stamp.write_text(wanted)


@dataclass(frozen=True)
class OurEnvironment:
    """The one that Headrace itself runs in: RQ is there."""

    def program(self, name: str) -> str:
        return str(Path(sys.executable).with_name(name))

    def prepare(self) -> None:
        """It is there."""


@dataclass(frozen=True)
class NodeEnvironment:
    """The packages of peers/bullmq/package.json."""

    def program(self, name: str) -> str:
        return name

    def prepare(self) -> None:
        """Installs them unless they are there; raises NotInstalled."""
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise NotInstalled("Node.js with npm is not on PATH")
        stamp, wanted = (
            NODE_HOME / "node_modules" / "installed.json",
            (NODE_HOME / "package.json").read_text(),
        )
        if stamp.exists() and stamp.read_text() == wanted:
            return
        _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(NODE_HOME)])
        stamp.write_text(wanted)


Environment = PythonEnvironment | OurEnvironment | NodeEnvironment


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        raise NotInstalled((error.stderr or error.stdout).strip().splitlines()[-1][:200]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
