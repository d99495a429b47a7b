"""The whole stack on one machine: servers, API and workers, all children of this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from headrace.config import Settings
from headrace.errors import HeadraceError, QueueUnavailable, StoreUnavailable
from headrace.local.address import Address, choose_address
from headrace.local.api_process import ApiProcess
from headrace.local.crew import Crew, Load
from headrace.local.follow import WORKER, terms_of
from headrace.local.stack import EmbeddedStack
from headrace.local.supervisor import Supervisor
from headrace.log import Log

log = Log(__name__)

_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class StackWish:
    """What to start.

    workers: how many. load: stores what a fresh database gets. embedded: own servers although the settings
    name others.
    """

    settings: Settings
    workers: int
    load: Load
    embedded: bool = False

    @property
    def need_postgres(self) -> bool:
        return self.embedded or not self.settings.postgres_url

    @property
    def need_redis(self) -> bool:
        return self.embedded or not self.settings.redis_url


class LocalStack:
    """A stack that runs. `tend` keeps its servers and its API alive; the workers are supervised anyway."""

    def __init__(self, servers: EmbeddedStack, api: ApiProcess) -> None:
        self._servers = servers
        self._api = api

    @property
    def url(self) -> str:
        """The API's URL."""
        return self._api.address.url

    def tend(self, seconds: float = _LOOK_SECONDS) -> None:
        """Waits so long, then starts again whatever has died."""
        time.sleep(seconds)
        try:
            self._servers.revive()
        except (StoreUnavailable, QueueUnavailable) as error:
            log.warning("revive", str(error))
        self._api.revive()


@contextmanager
def running_stack(wish: StackWish) -> Iterator[LocalStack]:
    """Starts the stack and waits until it is ready; stops it in order at the end of the block.

    Raises InvalidSettings, WrongState (a port or the data folder is taken), StoreUnavailable,
    QueueUnavailable, and HeadraceError when the API does not become ready.
    """
    settings = wish.settings
    address = choose_address(settings)
    with ExitStack() as opened:
        servers = opened.enter_context(EmbeddedStack(settings.data_dir, wish.need_postgres, wish.need_redis))
        database_url = servers.database_url or settings.postgres_url
        redis_url = servers.redis_url or settings.redis_url
        crew = opened.enter_context(Crew(database_url, redis_url, settings.lease_seconds))
        crew.prepare(wish.load, wish.workers)
        env = _environment(settings, address, {"DATABASE_URL": database_url, "REDIS_URL": redis_url})
        api = opened.enter_context(ApiProcess(address, env))
        # Workers stop first: the nodes that they finish may still call the API.
        opened.enter_context(Supervisor(WORKER, env, crew, terms_of(settings)))
        _await_ready(api)
        servers.announce(address.url)
        yield LocalStack(servers, api)


def _environment(settings: Settings, address: Address, servers: Mapping[str, str]) -> dict[str, str]:
    """The children's environment: where everything really is, whatever `.env` says."""
    return {
        **os.environ,
        **servers,
        "HOST": address.host,
        "PORT": str(address.port),
        "API_HOST": settings.api_host or httpx.URL(address.url).host,
        "API_PORT": str(settings.api_port or address.port),
        "HEADRACE_DATA_DIR": str(settings.data_dir.absolute()),
        "HEADRACE_LOG_LEVEL": settings.log_level,
    }


def _await_ready(api: ApiProcess) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while trouble := _trouble(client, api):
            if time.monotonic() > deadline:
                raise HeadraceError(f"the API at {api.address.url} is not ready: {trouble}")
            time.sleep(_LOOK_SECONDS)


def _trouble(client: httpx.Client, api: ApiProcess) -> str:
    """What it still lacks; '' when it is ready. Raises HeadraceError when the API has ended."""
    if not api.is_alive():
        raise HeadraceError(f"the API ended with exit code {api.exit_code}; its last lines are above")
    try:
        answer = client.get(f"{api.address.url}/readyz")
    except httpx.TransportError as error:
        return str(error) or "it does not answer"
    return "" if answer.is_success else answer.text
