from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidSettings
from headrace.nodes.guard import Guard, is_public

OWN = ("127.0.0.1", 3000)

_NOT_PUBLIC = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1
169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1
198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1
::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1
2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:a9fe:a9fe::
3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
"""

_PUBLIC = """
1.1.1.1 8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.1 192.167.255.255 100.63.255.255 100.128.0.1 11.0.0.1
2606:4700:4700::1111 2a00:1450:4001:81b::200e ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
"""
NOT_PUBLIC = _NOT_PUBLIC.split()
PUBLIC = _PUBLIC.split()


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    reason = Guard("", OWN).check("evil.example", 80, [address])

    assert reason is not None
    assert "evil.example:80" in reason
    assert "HEADRACE_HTTP_ALLOW" in reason


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert Guard("", OWN).check("good.example", 443, [address]) is None


@pytest.mark.parametrize("address", NOT_PUBLIC)
@pytest.mark.parametrize("first", [True, False])
def test_one_bad_answer_refuses_them_all(address: str, first: bool) -> None:
    answers = [address, "8.8.8.8"] if first else ["8.8.8.8", address]

    assert Guard("", OWN).check("mixed.example", 80, answers) is not None


def test_no_answer_is_refused() -> None:
    assert Guard("", OWN).check("nothing.example", 80, []) is not None


@given(st.ip_addresses(v=4))
def test_every_ipv6_dress_of_a_private_ipv4_address_is_refused(inner: IPv4Address) -> None:
    number = int(inner)
    dresses = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0xFFFF << 48) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    ]

    assert {is_public(dress) for dress in dresses} == {is_public(inner)}


@given(st.ip_addresses())
def test_public_is_never_wider_than_what_python_calls_global(address: IPv4Address | IPv6Address) -> None:
    assert address.is_global or getattr(address, "ipv4_mapped", None) or not is_public(address)


@pytest.mark.parametrize(
    ("allow", "host", "port", "addresses", "allowed"),
    [
        ("build.lan", "build.lan", 80, ["10.0.0.1"], True),
        ("build.lan", "BUILD.lan.", 8080, ["10.0.0.1"], True),
        ("build.lan", "other.lan", 80, ["10.0.0.1"], False),
        ("build.lan", "evil.build.lan", 80, ["10.0.0.1"], False),
        ("build.lan:8080", "build.lan", 8080, ["10.0.0.1"], True),
        ("build.lan:8080", "build.lan", 80, ["10.0.0.1"], False),
        ("10.1.0.0/16", "a.example", 80, ["10.1.2.3"], True),
        ("10.1.0.0/16", "a.example", 80, ["10.1.2.3", "10.2.0.1"], False),
        ("10.1.0.0/16", "a.example", 80, ["10.1.2.3", "8.8.8.8"], True),
        ("10.1.0.0/16", "a.example", 80, ["::ffff:10.1.2.3"], True),
        ("10.1.2.3/16", "a.example", 80, ["10.1.9.9"], True),
        ("10.1.0.0/16:8080", "a.example", 8080, ["10.1.2.3"], True),
        ("10.1.0.0/16:8080", "a.example", 80, ["10.1.2.3"], False),
        ("127.0.0.1:9000", "0x7f.1", 9000, ["127.0.0.1"], True),
        ("127.0.0.1:9000", "127.0.0.1", 9001, ["127.0.0.1"], False),
        ("fd00::/8", "v6.lan", 80, ["fd00::1"], True),
        ("[fd00::1]:80", "v6.lan", 80, ["fd00::1"], True),
        ("[fd00::1]:80", "v6.lan", 81, ["fd00::1"], False),
        ("[fd00::1]", "fd00::1", 81, ["fd00::1"], True),
        (" a.lan , b.lan:1  10.0.0.0/8 ", "b.lan", 1, ["192.168.0.1"], True),
        ("0.0.0.0/0", "v6.lan", 80, ["fd00::1"], False),
    ],
)
def test_the_allow_list(allow: str, host: str, port: int, addresses: list[str], allowed: bool) -> None:
    assert (Guard(allow, OWN).check(host, port, addresses) is None) is allowed


@pytest.mark.parametrize(
    ("host", "port", "addresses", "allowed"),
    [
        ("127.0.0.1", 3000, ["127.0.0.1"], True),
        ("127.0.0.1", 3001, ["127.0.0.1"], False),
        ("rebound.example", 3000, ["127.0.0.1"], False),
    ],
)
def test_the_own_api_is_allowed_by_its_own_name_only(
    host: str, port: int, addresses: list[str], allowed: bool
) -> None:
    assert (Guard("", OWN).check(host, port, addresses) is None) is allowed


@pytest.mark.parametrize(
    "allow",
    [
        "http://build.lan",
        "build.lan:http",
        "build.lan:0",
        "build.lan:70000",
        "10.0.0.0/99",
        "a@b",
        "*.lan",
        ":80",
    ],
)
def test_an_entry_that_means_nothing_is_named(allow: str) -> None:
    with pytest.raises(InvalidSettings, match="HEADRACE_HTTP_ALLOW"):
        Guard(allow, OWN)


def test_the_reason_says_how_to_allow_an_ipv6_address() -> None:
    reason = Guard("", OWN).check("fd00::1", 80, ["fd00::1"])

    assert (
        reason == "'fd00::1' is not a public address; to allow it, add '[fd00::1]:80' to HEADRACE_HTTP_ALLOW"
    )
    assert Guard("[fd00::1]:80", OWN).check("fd00::1", 80, ["fd00::1"]) is None


def test_the_corpus_holds_what_python_alone_would_let_pass() -> None:
    passed = [one for one in NOT_PUBLIC if ip_address(one).is_global]

    assert len(passed) >= 5
