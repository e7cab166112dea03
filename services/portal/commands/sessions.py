"""A tracking code typed once serves for an hour.

The code is kept sealed by a key that only the browser has, in a cookie: neither the database alone nor the cookie
alone tells it, and ending the session in either place ends it.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken

from services.portal.repo import SESSION_SECONDS, SESSIONS, Session
from shared.clock import Clock, SystemClock
from shared.store import Store


class Sessions:
    """The sessions of all processes. Their time is the machine's: a demonstration does not make it shorter."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    async def open(self, code: str) -> str:
        """The key of a new session."""
        key = Fernet.generate_key()
        sealed = Fernet(key).encrypt(code.encode()).decode()
        uow = self._store.unit()
        uow.insert(SESSIONS, Session(_id(key.decode()), sealed, self._clock.now()))
        await self._store.commit(uow)
        return key.decode()

    async def code_of(self, key: str) -> str | None:
        """The code behind the key; None when the session is over, or never was."""
        if not key or (session := await self._store.get(SESSIONS, _id(key))) is None:
            return None
        if self._clock.now() - session.at >= timedelta(seconds=SESSION_SECONDS):
            return None
        try:
            return Fernet(key).decrypt(session.sealed).decode()
        except (InvalidToken, ValueError):
            return None

    async def end(self, key: str) -> None:
        """Forget the session."""
        uow = self._store.unit()
        session = await uow.find(SESSIONS, _id(key))
        if session is not None:
            uow.delete(SESSIONS, session)
            await self._store.commit(uow)


def _id(key: str) -> str:
    return sha256(key.encode()).hexdigest()
