"""A supervisor alone: worker processes as PostgreSQL says they are wanted, on servers that run elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.config import Settings
from headrace.errors import InvalidSettings
from headrace.local.child import Terms
from headrace.local.crew import Crew
from headrace.local.supervisor import Supervisor

WORKER = (sys.executable, "-P", "-m", "headrace_worker")
"""Not with the current folder first on the import path: a project's `queue.py` is not the standard one."""

# A worker hands back within the grace time of the settings, and then still has to say so.
_FAREWELL_SECONDS = 5.0


def terms_of(settings: Settings) -> Terms:
    """How a worker is asked to end, and how long it has."""
    return Terms(grace=settings.grace_seconds + _FAREWELL_SECONDS)


@contextmanager
def following(settings: Settings) -> Iterator[None]:
    """Runs the workers that projects want; at the end of the block they drain and are gone.

    Raises InvalidSettings without addresses of servers, StoreUnavailable and QueueUnavailable.
    """
    if not settings.postgres_url or not settings.redis_url:
        raise InvalidSettings("a supervisor of workers needs DATABASE_URL and REDIS_URL")
    with Crew(settings.postgres_url, settings.redis_url, settings.lease_seconds) as crew:
        crew.adopt()
        with Supervisor(WORKER, os.environ, crew, terms_of(settings)):
            yield
