"""How much one caller may ask for."""

from __future__ import annotations

import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

from shared.errors import TooMany

Network = IPv4Network | IPv6Network
_PLAIN = re.compile(r"[!-~]{1,64}")


class RateLimit:
    """A token bucket per key: `burst` at once, then `per_second` on average.

    Held in this process: with n processes a caller may reach n times the rate. The least recently seen of more
    than `keys` keys is forgotten, which only ever lets somebody through.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        keys: int = 100_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._keys = per_second, burst, keys
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Use one token of the key. Raises TooMany (`rate-limited`) with the seconds until there is one again."""
        now = self._monotonic()
        left, seen = self._buckets.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - seen) * self._rate)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooMany("rate-limited", retry_after=max(1, math.ceil((1 - left) / self._rate)))

    def give_back(self, key: str) -> None:
        """Undo a `take` that is not to count after all."""
        if (bucket := self._buckets.get(key)) is not None:
            self._buckets[key] = (min(self._burst, bucket[0] + 1), bucket[1])


def client_address(request: Request) -> str:
    """The address of the caller: the peer, or what the trusted proxies in front of us say it was.

    `X-Forwarded-For` is read from the right, and only as far as each hop is one of the application's trusted
    proxies: whatever a caller writes into it stays to the left of that. What no address can be made of (it is not
    ASCII, or far too long) is not believed either.
    """
    trusted: tuple[Network, ...] = request.app.state.limits.trusted_proxies
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    address = request.client.host if request.client else ""
    while hops and _among(address, trusted) and _PLAIN.fullmatch(hops[-1]):
        address = hops.pop()
    return address


def subscriber(address: str) -> str:
    """What one subscriber can change at will counts as one address: of IPv6 the /64, of IPv4 the address itself.

    What is no address stays as it is: a name that a trusted proxy gave.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))


def _among(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
