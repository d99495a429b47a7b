"""Which addresses outgoing calls may reach: a pure decision, made for every connection.

A name is judged by what it resolves to, at the moment of connecting, so spellings (`0x7f.1`, `2130706433`)
and names that change their address between two look-ups gain nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from headrace.errors import InvalidSettings

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

SETTING = "HEADRACE_HTTP_ALLOW"

_NAT64 = IPv6Network("64:ff9b::/96")
_SIIT = IPv6Network("::ffff:0:0:0/96")

# What Python's `is_global` calls public (in some or all versions) although no public server lives there.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(net)
    for net in (
        "168.63.129.16/32",  # Azure's platform server, seen from inside a virtual machine
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata server is 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible: ::127.0.0.1
        "64:ff9b:1::/48",  # NAT64 into a private network
        "100::/64",  # discard
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the allow-list: a name or a network, perhaps with a port."""

    host: str | Network
    port: int | None

    def names(self, host: str, port: int) -> bool:
        return self.host == host and self.port in (None, port)

    def covers(self, address: Address, port: int) -> bool:
        same_version = not isinstance(self.host, str) and self.host.version == address.version
        return same_version and address in self.host and self.port in (None, port)


class Guard:
    """Says whether a connection may be made.

    allow: comma-separated hosts, host:port or networks (`build.lan, db.lan:8080, 10.1.0.0/16, [fd00::1]:80`).
    own: host and port of this system's own API, which nodes may always reach.
    Raises InvalidSettings that names a bad entry.
    """

    def __init__(self, allow: str, own: tuple[str, int]) -> None:
        self._entries = tuple(_entry(text) for text in allow.replace(",", " ").split())
        self.own = (_plain(own[0]), own[1])

    def is_own(self, host: str, port: int) -> bool:
        return (_plain(host), port) == self.own

    def check(self, host: str, port: int, addresses: Iterable[str]) -> str | None:
        """Why a connection to host:port, which resolves to addresses, is refused; None if it may be made.

        One address that is not public refuses them all: otherwise a name with a public and a private
        address would reach the private one on the second try.
        """
        name = _plain(host)
        if self.is_own(name, port) or any(entry.names(name, port) for entry in self._entries):
            return None
        seen = [_parse(address) for address in addresses]
        bad = next((one for one in seen if not self._may_reach(one, port)), None)
        if seen and bad is None:
            return None
        return _reason(name, port, bad)

    def _may_reach(self, address: Address, port: int) -> bool:
        return is_public(address) or any(entry.covers(_unmapped(address), port) for entry in self._entries)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, and every IPv4 address inside it does too."""
    address = _unmapped(address)
    if address.is_multicast or not address.is_global:
        return False
    if any(address.version == net.version and address in net for net in _NOT_PUBLIC):
        return False
    return all(is_public(inner) for inner in _embedded(address))


def _unmapped(address: Address) -> Address:
    """`::ffff:10.0.0.1` is 10.0.0.1: the system connects to the IPv4 address."""
    return (address.version == 6 and address.ipv4_mapped) or address


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """IPv4 addresses that a translator or tunnel would take out of an IPv6 address."""
    if address.version == 4:
        return
    if address in _NAT64 or address in _SIIT:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour


def _reason(host: str, port: int, address: Address | None) -> str:
    if address is None:
        return f"'{host}' has no address"
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    is_name = str(address) != host
    resolved = f"'{host}' resolves to {address}, which" if is_name else f"'{host}'"
    return f"{resolved} is not a public address; to allow it, add '{target}' to {SETTING}"


def _parse(address: str) -> Address:
    return ip_address(address.partition("%")[0])


def _plain(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _entry(text: str) -> Entry:
    host, port = _split_port(text)
    if not host or any(mark in host for mark in "@?#*") or "//" in text:
        raise InvalidSettings(f"{SETTING}: '{text}' is not a host, host:port or network")
    try:
        return Entry(ip_network(host, strict=False), port)
    except ValueError:
        if "/" in host or ":" in host:
            raise InvalidSettings(f"{SETTING}: '{text}' is not a network") from None
        return Entry(host, port)


def _split_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    has_port = bool(colon) and (host.endswith("]") or ":" not in host)
    if not has_port:
        return _plain(text), None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise InvalidSettings(f"{SETTING}: '{text}' has no valid port")
    return _plain(host), int(port)
