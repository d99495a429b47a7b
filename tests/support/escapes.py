"""What an attempt to escape from a sandbox is, and the scene that would show one that succeeds."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headrace.graph.json_types import JsonObject

NOBODY = 65534

# Counts the signals that it gets, until it is asked for their number.
VICTIM = """
import os, signal, sys
got = []
for number in (signal.SIGUSR1, signal.SIGIO, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
    signal.signal(number, lambda number, _: got.append(number))
print("ready", flush=True)
while os.read(0, 1) == b"":
    pass
print(len(got), flush=True)
"""


@dataclass(frozen=True)
class Escape:
    """A program that tries something. ends: the kind of its failure, or '' when it ends with an answer."""

    name: str
    source: str
    ends: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass
class Scene:
    """All that a program could reach without walls, world-readable and world-writable.

    secret: stands in a file, in the environment of this process and in that of `victim`.
    """

    secret: str
    root: Path
    victim: subprocess.Popen[str]
    listeners: list[socket.socket] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / "secret"

    @property
    def folder(self) -> Path:
        return self.root / "folder"

    @property
    def given(self) -> JsonObject:
        """The program's input: where all of it is."""
        tcp, udp, *_ = self.listeners
        return {
            "file": str(self.file),
            "folder": str(self.folder),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": str(self.root / "socket"),
            "datagrams": str(self.root / "datagrams"),
            "abstract": f"headrace-{self.root.name}",
            "pid": self.victim.pid,
            "packages": str(Path(pytest_folder()).parent),
        }

    def damage(self) -> list[str]:
        """What has happened that must not."""
        found = [f"contact at {one}" for one in self.listeners if was_reached(one)]
        found += [f"a new file: {one}" for one in self.folder.iterdir()]
        if not self.file.exists() or self.file.read_text() != self.secret:
            found.append("the secret file was changed")
        elif self.file.stat().st_mode & 0o777 != 0o666 or self.file.stat().st_nlink != 1:
            found.append("the secret file's mode was changed, or it was linked")
        if self.victim.poll() is not None:
            found.append(f"the victim has ended with {self.victim.returncode}")
        elif (signals := self.signals()) != "0":
            found.append(f"the victim got {signals} signals")
        return found

    def signals(self) -> str:
        """How many signals the victim got; it ends with this."""
        out, _ = self.victim.communicate("x", timeout=20)
        return out.strip()


def pytest_folder() -> str:
    return next(one for one in sys.path if one.endswith("site-packages")) + "/pytest"


def was_reached(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        if one.type == socket.SOCK_STREAM:
            one.accept()[0].close()
        else:
            one.recv(10)
    except BlockingIOError:
        return False
    return True


@contextmanager
def set_up() -> Iterator[Scene]:
    """The scene, and its end."""
    root = Path(tempfile.mkdtemp(prefix="headrace-scene-"))
    secret = f"canary-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root)
        root.chmod(0o755)
        (root / "folder").mkdir()
        (root / "folder").chmod(0o777)
        (root / "secret").write_text(secret)
        (root / "secret").chmod(0o666)
        scene = Scene(secret, root, stack.enter_context(victim(secret)))
        scene.listeners += [stack.enter_context(one) for one in listeners(scene)]
        os.environ["HEADRACE_TEST_SECRET"] = secret
        stack.callback(os.environ.pop, "HEADRACE_TEST_SECRET")
        yield scene


@contextmanager
def victim(secret: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the user that a cell has, so that the kernel would let it be signalled and looked into."""
    with subprocess.Popen(
        [shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable, "-I", "-S", "-c", VICTIM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"SECRET": secret},
        user=NOBODY if os.geteuid() == 0 else None,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def listeners(scene: Scene) -> Iterator[socket.socket]:
    """TCP and UDP on loopback, two sockets in the file system and an abstract one: in this order."""
    families = (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        (socket.AF_UNIX, socket.SOCK_STREAM, str(scene.root / "socket")),
        (socket.AF_UNIX, socket.SOCK_DGRAM, str(scene.root / "datagrams")),
        (socket.AF_UNIX, socket.SOCK_STREAM, f"\0headrace-{scene.root.name}"),
    )
    for family, kind, address in families:
        one = socket.socket(family, kind)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen()
        if isinstance(address, str) and not address.startswith("\0"):
            os.chmod(address, 0o777)
        yield one
