"""Which PostgreSQL tests run on: the one that the settings name, else one that this process starts."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock

from headrace import config
from headrace.local.postgres import EmbeddedPostgres

_starting = Lock()


def server_url() -> str:
    """The URL of DATABASE_URL (or PGHOST and the like), else of an embedded server, started once.

    Raises InvalidSettings when neither is there.
    """
    given = config.load().postgres_url
    if given:
        return given
    with _starting:
        return _embedded()


@cache
def _embedded() -> str:
    folder = Path(tempfile.mkdtemp(prefix="headrace-testing-"))
    folder.chmod(0o711)  # root's server runs as another user, who must pass through
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server.start()
    atexit.register(server.stop)  # runs before the folder goes: the last registered is the first
    return server.url()
