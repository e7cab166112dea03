"""Files of staff: kept when they are handed in, gone again when nothing claims them.

Nothing is left behind, wherever a process dies: the document is there before its file and goes after it, and a file
goes only once it has been committed that nothing may claim it any more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from hashlib import sha256

from services.scoring.domain.attachments import UNCLAIMED_FOR, Attachment, Kind, kind_of
from services.scoring.repo import ATTACHMENTS
from shared.errors import Invalid, NotFound
from shared.store import Store, UnitOfWork


class Shelf:
    """The attachments of the service."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, content: bytes, by: str) -> Attachment:
        """Keep a file, unclaimed. One that is refused leaves no trace. Raises what `kind_of` does."""
        kind, digest = await asyncio.to_thread(_read, content)

        async def announce(uow: UnitOfWork) -> Attachment:
            made = Attachment(
                id=secrets.token_urlsafe(16),
                kind=kind,
                byte_count=len(content),
                sha256=digest,
                uploaded_at=uow.now,
                uploaded_by=by,
                deadline_at=uow.now + UNCLAIMED_FOR,
            )
            uow.insert(ATTACHMENTS, made)
            return made

        made = await self._store.run(announce)
        await self._store.upload(_name(made.id), content, {"contentType": kind.media_type})
        return made

    async def read(self, id: str) -> bytes:
        """The bytes as they came. Raises NotFound (attachments-not-found)."""
        try:
            return b"".join([piece async for piece in self._store.download(_name(id))])
        except NotFound:
            raise NotFound("attachments-not-found", id=id) from None

    async def discard(self, id: str) -> None:
        """May be repeated."""
        await self._store.driver.discard(_name(id))


async def claim(uow: UnitOfWork, ids: Sequence[str], owner: str, by: str, field: str) -> list[Attachment]:
    """The attachments, of `owner` from now on.

    Raises Invalid (attachment-unknown, listed-twice), Refused (attachment-taken, attachment-of-another).
    """
    found = await uow.load(ATTACHMENTS, ids)
    for place, id in enumerate(ids):
        where = field.format(place)
        if id not in found:
            raise Invalid("attachment-unknown", field=where)
        if id in ids[:place]:
            raise Invalid("listed-twice", field=where, given=id)
        found[id].claim(owner, by, where)
        uow.save(ATTACHMENTS, found[id])
    return [found[id] for id in ids]


async def expire(uow: UnitOfWork, id: str) -> None:
    """What nobody claimed in time may be claimed no more; the next time its file goes, and then it itself."""
    found = await uow.find(ATTACHMENTS, id)
    if found is None or found.deadline_at is None or found.deadline_at > uow.now:
        return
    if found.abandon(uow.now):
        shelf: Shelf = uow.own.shelf
        await shelf.discard(id)
        uow.delete(ATTACHMENTS, found)
    else:
        uow.save(ATTACHMENTS, found)


def _read(content: bytes) -> tuple[Kind, str]:
    return kind_of(content), sha256(content).hexdigest()


def _name(id: str) -> str:
    return f"attachment/{id}"
