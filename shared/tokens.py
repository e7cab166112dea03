"""Access tokens of a service itself, by OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import quote

EARLY = 30.0
"""Seconds before its end at which a token is replaced."""
PATIENCE = 10.0


class ClientCredentials:
    """Asks the token endpoint when the last token is about to end."""

    def __init__(self, url: str, client: str, secret: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._client, self._secret = url, client, secret
        self._monotonic = monotonic
        self._token, self._until = "", -float("inf")
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """A token that is valid now. Raises OSError and ValueError when there is none to be had."""
        async with self._lock:
            if self._monotonic() >= self._until:
                asked = self._monotonic()
                self._token, lasts = await asyncio.to_thread(self._ask)
                self._until = asked + lasts - EARLY
            return self._token

    def _ask(self) -> tuple[str, float]:
        identity = base64.b64encode(f"{quote(self._client)}:{quote(self._secret)}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the operator's own endpoint
            self._url, data=b"grant_type=client_credentials", headers={"Authorization": f"Basic {identity}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            granted = json.load(answer)
        token, lasts = granted.get("access_token"), granted.get("expires_in", 300)
        if not isinstance(token, str) or not isinstance(lasts, int | float):
            raise ValueError("the token endpoint gave no access_token")
        return token, float(lasts)
