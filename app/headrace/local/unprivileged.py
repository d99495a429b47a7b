"""PostgreSQL refuses to run as root: what root does instead, without touching anybody's folders."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from headrace.errors import InvalidSettings
from headrace.local.paths import write_private
from headrace.log import Log

log = Log(__name__)

USER = "nobody"


def needed_user() -> str:
    """The user that the server must run as, or '' when this process is no root."""
    return USER if os.geteuid() == 0 else ""


def give(path: Path, user: str) -> None:
    """Makes `user` the owner of this one file or folder; '' changes nothing."""
    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def run_as(
    user: str, command: Sequence[str | Path], cwd: Path, told: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a short command as `user` ('' is ourselves), with an environment that says nothing."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        user=user or None,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )


def can_enter(user: str, folder: Path) -> bool:
    """Whether `user` can pass through all of the folder's parents and the folder itself."""
    # Asked by trying: mode bits alone do not know of access lists and read-only mounts.
    return run_as(user, ["/bin/sh", "-c", 'cd "$1"', "sh", folder], Path("/")).returncode == 0


def place(folder: Path, user: str) -> Path:
    """Where the server's data lives: `folder` itself, or a private folder where `user` cannot reach that.

    The private one is recorded in `folder`, so that it is found again; raises InvalidSettings if it is gone.
    """
    record = folder / "location"
    if record.exists():
        return _recorded(record)
    if not user or can_enter(user, folder):
        return folder
    elsewhere = Path(tempfile.mkdtemp(prefix="postgres-", dir=state_folder()))
    # mkdtemp's 0700 would lock the server's user out; the data folder within keeps everyone else out.
    elsewhere.chmod(0o711)
    write_private(record, f"{elsewhere}\n")
    log.info("placed", f"{user} cannot enter {folder}: the data lives in {elsewhere}")
    return elsewhere


def _recorded(record: Path) -> Path:
    location = Path(record.read_text().strip())
    if not location.is_dir():
        raise InvalidSettings(
            f"{record} says that the data lives in {location}, which does not exist: "
            f"bring that folder back, or remove {record.parent} to start with an empty database"
        )
    return location


def state_folder() -> Path:
    """A folder of root that others can pass through: /var/lib/headrace, else a temporary one."""
    for folder in (Path("/var/lib/headrace"), Path(tempfile.gettempdir()) / "headrace-root"):
        if _make_passable(folder) and can_enter(USER, folder):
            return folder
    raise InvalidSettings(f"{USER} can enter neither /var/lib nor {tempfile.gettempdir()}: set DATABASE_URL")


def _make_passable(folder: Path) -> bool:
    try:
        if not folder.is_symlink() and not folder.exists():
            folder.mkdir()
            folder.chmod(0o711)
        status = folder.lstat()
    except OSError:
        return False
    # Everyone can write to a temporary folder: a name there may be somebody else's.
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and os.access(folder, os.W_OK)


def reachable_copy(source: Path, program: Path, user: str) -> Path:
    """`source`, or a copy of it in root's state folder if `user` cannot run `program` in it.

    source: the folder of a package, whose libraries lie beside it in `<source>.libs` and go with it.
    """
    if not user or _can_run(user, source / program):
        return source
    stamp = f"{source}:{(source / program).stat().st_mtime_ns}"
    target = state_folder() / f"programs-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if not target.exists():
        _copy(source, target)
    return target / source.name


def _can_run(user: str, program: Path) -> bool:
    try:
        return run_as(user, [program, "--version"], Path("/")).returncode == 0
    except PermissionError:
        return False


def _copy(source: Path, target: Path) -> None:
    part = Path(tempfile.mkdtemp(dir=target.parent))
    unneeded = shutil.ignore_patterns("*.a", "include", "pgxs", "pkgconfig", "*.py", "__pycache__")
    for folder in (source, source.with_name(f"{source.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, part / folder.name, symlinks=True, ignore=unneeded)
    part.chmod(0o755)
    try:
        part.rename(target)
    except OSError:
        # Another start was quicker: its copy is the same.
        shutil.rmtree(part)
