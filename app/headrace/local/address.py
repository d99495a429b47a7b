"""Where the API listens: checked before anything starts, so that a mistake costs no half-started stack."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from headrace.config import Settings
from headrace.errors import WrongState
from headrace.local.paths import free_port


@dataclass(frozen=True)
class Address:
    """Where the API listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How programs on this machine reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def choose_address(settings: Settings) -> Address:
    """HOST and PORT, or a free port where PORT is 0.

    Raises WrongState when it is taken, or when this machine has no such address.
    """
    address = Address(settings.host, settings.port or free_port())
    _require_free(address)
    return address


def _require_free(address: Address) -> None:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        raise WrongState(
            f"Headrace cannot listen on {address.host}, port {address.port} ({error.strerror}): "
            "stop what listens there, or choose another port with --port or PORT (0: any free one)"
        ) from error
