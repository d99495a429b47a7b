"""One `headrace up` for all acceptance tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.local_stack import UpProcess, local_stack
from support.slow_server import SlowServer, slow_server


@pytest.fixture(scope="session")
def up() -> Iterator[UpProcess]:
    """A running stack with two workers, whose nodes may call servers on this machine."""
    with local_stack("--workers", "2", HEADRACE_HTTP_ALLOW="127.0.0.1") as stack:
        yield stack


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    """A server that answers after five seconds; a test may set another `delay`."""
    with slow_server(5.0) as server:
        yield server
