"""These tests use the kit as its users do; its databases are on the session's server."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _server(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_server)
