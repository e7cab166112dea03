"""A banned network catches its addresses, however they are written, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain.abuse import Ban, BanKind, banned_network, mark_of_network, marks_of_address
from shared.errors import Invalid, Refused

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6, network="2000::/3"))


@given(ADDRESSES, st.integers(0, 96))
def test_a_network_catches_exactly_its_addresses(address: IPv4Address | IPv6Address, wider: int) -> None:
    length = max(address.max_prefixlen - wider, 16 if address.version == 4 else 32)
    network = ip_network(f"{address}/{length}", strict=False)
    mark = mark_of_network(banned_network(f"{address}/{length}"))
    for caught in (address, network[0], network[-1]):
        assert mark in marks_of_address(str(caught))
    beyond = int(network[-1]) + 1
    if beyond < 2**address.max_prefixlen:
        assert mark not in marks_of_address(str(type(address)(beyond)))


def test_an_address_of_version_4_cannot_hide_in_one_of_version_6() -> None:
    mark = mark_of_network(banned_network("203.0.113.0/24"))
    assert mark in marks_of_address("::ffff:203.0.113.7")


@pytest.mark.parametrize("text", ["", "unknown", "203.0.113", "203.0.113.7:80", "王"])
def test_what_is_no_address_has_no_marks(text: str) -> None:
    assert marks_of_address(text) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("10.0.0.0/8", "network-too-wide"),
        ("::/0", "network-too-wide"),
        ("10.0.0.300", "network-malformed"),
        ("", "network-malformed"),
    ],
)
def test_networks_nobody_meant_are_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        banned_network(text)


def test_a_ban_is_lifted_once() -> None:
    ban = Ban("b", BanKind.PHONE, ("m",), None, "灌水", "office", NOW, NOW + timedelta(days=1))
    ban.lift(NOW)
    assert ban.until == NOW
    with pytest.raises(Refused, match="ban-over"):
        ban.lift(NOW)


def test_a_ban_of_a_mapped_address_meets_the_address() -> None:
    network = banned_network("::ffff:203.0.113.7")
    assert str(network) == "203.0.113.7/32"
    assert mark_of_network(network) in marks_of_address("203.0.113.7")
    assert mark_of_network(network) in marks_of_address("::ffff:203.0.113.7")
