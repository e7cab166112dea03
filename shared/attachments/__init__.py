"""Files of staff (plans, evidence): kept when they are handed in, gone again when nothing claims them.

    made = await attachments.put(content, by=caller.subject)
    ...                                      # whatever shows it claims it in its own unit of work
    [file] = await claim(uow, [made.id], "visit:7", caller.subject, "files.{}")
    content = await attachments.read(file.id)

The service declares `ATTACHMENTS` among its collections, and a deadline of theirs that calls `Attachments.expire`.

Nothing is left behind, wherever a process dies: the document is there before its file and goes after it, and a file
goes only once it has been committed that nothing may claim it any more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from shared.attachments.kinds import MOST_BYTES, Kind, kind_of
from shared.errors import Invalid, NotFound, Refused
from shared.store import Collection, Index, Store, UnitOfWork

__all__ = [
    "ATTACHMENTS",
    "GRACE",
    "MOST_BYTES",
    "UNCLAIMED_FOR",
    "Attachment",
    "Attachments",
    "Kind",
    "claim",
    "kind_of",
]

UNCLAIMED_FOR = timedelta(hours=24)
"""How long a file is kept that nothing shows."""
GRACE = timedelta(minutes=1)
"""How long after it has been given up a file goes."""


@dataclass
class Attachment:
    """A file that was handed in; what shows it claims it, or it goes a day after `uploaded_at` (UTC).

    `uploaded_by` is the subject of a token. `deadline_at` is when something has to happen to a file nobody claimed.
    """

    id: str
    kind: Kind
    byte_count: int
    sha256: str
    uploaded_at: datetime
    uploaded_by: str
    claimed_by: str | None = None
    abandoned: bool = False
    deadline_at: datetime | None = None

    def claim(self, owner: str, by: str, field: str) -> None:
        """Let `owner` show it from now on; only who handed it in may say so, and only once.

        Raises Refused (attachment-taken, attachment-of-another).
        """
        if self.uploaded_by != by:
            raise Refused("attachment-of-another", field=field)
        if self.abandoned or self.claimed_by is not None:
            raise Refused("attachment-taken", field=field)
        self.claimed_by, self.deadline_at = owner, None

    def abandon(self, now: datetime) -> bool:
        """Nothing claims it any more. Whether it was so before: then the file may go, and what was begun has ended."""
        before = self.abandoned
        self.abandoned, self.deadline_at = True, now + GRACE
        return before


ATTACHMENTS = Collection("attachments", Attachment, [Index((("deadline_at", 1),))])


class Attachments:
    """The attachments of a service."""

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

    async def expire(self, uow: UnitOfWork, id: str) -> None:
        """What nobody claimed in time may be claimed no more; the next time its file goes, and then it itself."""
        found = await uow.find(ATTACHMENTS, id)
        if found is None or found.deadline_at is None or found.deadline_at > uow.now:
            return
        if found.abandon(uow.now):
            await self._store.driver.discard(_name(id))
            uow.delete(ATTACHMENTS, found)
        else:
            uow.save(ATTACHMENTS, found)


async def claim(uow: UnitOfWork, ids: Sequence[str], owner: str, by: str, field: str) -> list[Attachment]:
    """The attachments, of `owner` from now on; `field` names the one at a position in what was sent: `files.{}`.

    Raises Invalid (attachment-unknown, listed-twice), Refused (attachment-taken, attachment-of-another).
    """
    found = await uow.load(ATTACHMENTS, ids)
    for position, id in enumerate(ids):
        where = field.format(position)
        if id not in found:
            raise Invalid("attachment-unknown", field=where)
        if id in ids[:position]:
            raise Invalid("listed-twice", field=where, given=id)
        found[id].claim(owner, by, where)
        uow.save(ATTACHMENTS, found[id])
    return [found[id] for id in ids]


def _read(content: bytes) -> tuple[Kind, str]:
    return kind_of(content), sha256(content).hexdigest()


def _name(id: str) -> str:
    return f"attachment/{id}"
