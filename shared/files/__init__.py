"""Photos that people hand in: the original untouched and kept apart, and copies that give nothing away.

    photo = await files.put(content)              # decoded, copied, stored; unclaimed for now
    ...                                           # whatever shows it claims it in its own unit of work
    jpeg = await files.copy(photo, Size.LARGE)

What a photo is, is read from its bytes, never from a name or a header. There is no way from a copy that cannot be made
back to the original.

Nothing is left behind and nothing is missing, wherever a process dies. The document is there before its files and
READY after them; one that nobody claims within `UNCLAIMED_FOR` becomes ABANDONED, then its files go, then it goes
itself. One that is to be redrawn has no copies from the moment that is decided: new ones are drawn, then it is READY
again and the old ones go. A BARE one loses its original for good. What was interrupted is done again when the photo's
deadline comes round. Equal content is stored once: a document may share the files of another only while writing that
other one in the same transaction, so that sharing excludes abandoning, redrawing and baring, and names of files are
never used again.
"""

from __future__ import annotations

import asyncio
import secrets
from hashlib import sha256

from shared.errors import Invalid, TooLarge
from shared.files.copies import Copies, new_copies, new_original
from shared.files.photo import (
    AGAIN_AFTER,
    MOST_REGIONS,
    PHOTO_DEADLINE,
    PHOTOS,
    UNCLAIMED_FOR,
    Content,
    Photo,
    PhotoState,
)
from shared.files.upkeep import Upkeep
from shared.pictures.decoders import EACH_WAITING, MOST_WAITING, decoders
from shared.pictures.likeness import MOST_DIFFERING, Likeness
from shared.pictures.picture import Hint, Kind, Region, Size
from shared.store import Store, UnitOfWork

__all__ = [
    "AGAIN_AFTER",
    "EACH_WAITING",
    "MOST_BYTES",
    "MOST_DIFFERING",
    "MOST_REGIONS",
    "MOST_WAITING",
    "PHOTOS",
    "PHOTO_DEADLINE",
    "UNCLAIMED_FOR",
    "Content",
    "Files",
    "Hint",
    "Kind",
    "Likeness",
    "Photo",
    "PhotoState",
    "Region",
    "Size",
]

MOST_BYTES = 15 * 1024 * 1024
"""Bytes of a photo: the largest that telephones of 2025 take in their usual mode, with room to spare."""


class Files:
    """The photos of one service. Every process that runs `PHOTO_DEADLINE` needs one: it does the work on them."""

    def __init__(self, store: Store, alike_bits: int) -> None:
        """`alike_bits`: in how many bits the likenesses of one picture may differ, at most `MOST_DIFFERING`."""
        self._store = store
        self._copies = Copies(store)
        self._upkeep = Upkeep(store, self._copies, alike_bits)

    async def put(self, content: bytes, by: str | None = None) -> Photo:
        """Keep a photo, unclaimed; `by` is the address or account it comes from. One that is refused leaves no trace.

        Raises Unsupported (`photo-kind-unsupported`), Invalid (`photo-empty`, `photo-broken`,
        `photo-too-many-pixels`), TooLarge (`photo-too-large`), TooMany (`rate-limited`) when too many of theirs wait
        already, and Unavailable when too many of everybody's do.
        """
        _admit(content)
        digest = await asyncio.to_thread(lambda: sha256(content).hexdigest())
        return await self._share(digest) or await self._keep(digest, content, by)

    async def copy(self, photo: Photo, size: Size) -> bytes:
        """The public copy: a JPEG. Raises NotFound (`photos-not-found`)."""
        return await self._copies.copy(photo, size)

    async def original(self, photo: Photo) -> bytes:
        """The bytes as they came: with the place it was taken at, and whatever else somebody put into them."""
        return await self._copies.original(photo)

    async def settle(self, id: str | None = None) -> None:
        """Returns when the work that commits of this process began, on the photo or on all, is done or put off."""
        await self._upkeep.settle(id)

    async def _share(self, digest: str) -> Photo | None:
        """A new document on the files of an equal photo, if there is one to share with."""
        whole = {"content.sha256": digest, "state": PhotoState.READY.value, "blackened": []}
        equal = await self._store.find(PHOTOS, whole, limit=1)
        if not equal:
            return None

        async def share(uow: UnitOfWork) -> Photo | None:
            twin = await uow.find(PHOTOS, equal[0].id)
            if twin is None or twin.state is not PhotoState.READY or twin.blackened:
                return None
            uow.save(PHOTOS, twin)  # unchanged: it guards against the twin being abandoned or redrawn meanwhile
            photo = _new(uow, twin.content, twin.original, twin.copies)
            photo.state = PhotoState.READY
            return photo

        return await self._store.run(share)

    async def _keep(self, digest: str, content: bytes, by: str | None) -> Photo:
        picture = await decoders().read(content, by=by)
        original, copies = new_original(digest), new_copies()
        found = Content(
            sha256=digest,
            kind=picture.kind,
            width=picture.width,
            height=picture.height,
            byte_count=len(content),
            likeness=picture.likeness,
            hint=picture.hint,
        )

        async def announce(uow: UnitOfWork) -> Photo:
            return _new(uow, found, original, copies)

        async def complete(uow: UnitOfWork) -> Photo:
            kept = await uow.get(PHOTOS, photo.id)
            kept.state = PhotoState.READY
            uow.save(PHOTOS, kept)
            return kept

        photo = await self._store.run(announce)
        await self._copies.add_original(original, content, picture.kind)
        await self._copies.add_copies(copies, picture)
        return await self._store.run(complete)


def _new(uow: UnitOfWork, content: Content, original: str, copies: str | None) -> Photo:
    photo = Photo(
        id=secrets.token_urlsafe(16),
        content=content,
        original=original,
        copies=copies,
        uploaded_at=uow.now,
        deadline_at=uow.now + UNCLAIMED_FOR,
    )
    uow.insert(PHOTOS, photo)
    return photo


def _admit(content: bytes) -> None:
    """Raises Invalid and TooLarge for a length that no photo has."""
    if not content:
        raise Invalid("photo-empty")
    if len(content) > MOST_BYTES:
        raise TooLarge("photo-too-large", limit=MOST_BYTES)
