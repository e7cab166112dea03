"""Who may not report for a while: an address, an account, a telephone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from shared.errors import Invalid, Refused

_MAPPED = 96
WIDEST_V4, WIDEST_V6 = 16, 32
"""Shortest prefixes of a banned network: a mistyped one must not shut out a province."""


class BanKind(StrEnum):
    """By what somebody is recognised."""

    ADDRESS = "address"
    ACCOUNT = "account"
    PHONE = "phone"


@dataclass
class Ban:
    """Somebody may not report until a time (UTC). `who` banned them and `reason` says why; both are for staff.

    `marks` is what recognises them; `network` is told of a banned address, of others nothing can be read.
    """

    id: str
    kind: BanKind
    marks: tuple[str, ...] = field(repr=False)
    network: str | None
    reason: str = field(repr=False)
    who: str
    since: datetime
    until: datetime

    def lift(self, now: datetime) -> None:
        """It is over. Raises Refused (ban-over)."""
        if self.until <= now:
            raise Refused("ban-over")
        self.until = now


def banned_network(text: str) -> IPv4Network | IPv6Network:
    """The network of an address, or of several. Raises Invalid (network-malformed, network-too-wide)."""
    try:
        network = _plain(ip_network(text.strip(), strict=False))
    except ValueError:
        raise Invalid("network-malformed", field="value") from None
    if network.prefixlen < (widest := _widest(network)):
        raise Invalid("network-too-wide", field="value", limit=widest)
    return network


def _plain(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """A network of IPv4 addresses written as IPv6 (`::ffff:203.0.113.7`) as what it is."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED))


def mark_of_network(network: IPv4Network | IPv6Network) -> str:
    """What recognises the addresses of a network."""
    return _mark(network.network_address, network.prefixlen)


def marks_of_address(address: str) -> list[str]:
    """The marks of all networks that the address may be banned by; none for what is no address."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return []
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return [_mark(parsed, length) for length in range(_widest(parsed), parsed.max_prefixlen + 1)]


def _widest(of: IPv4Address | IPv6Address | IPv4Network | IPv6Network) -> int:
    return WIDEST_V4 if of.version == 4 else WIDEST_V6


def _mark(address: IPv4Address | IPv6Address, length: int) -> str:
    return f"v{address.version}/{length}:{int(address) >> (address.max_prefixlen - length):x}"
