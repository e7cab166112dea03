"""The work on photos that follows from a commit: in the process that committed, and again if that process dies.

A commit tells what is to be done by the photo's state, so whoever reads the document knows it as well; the photo's
deadline has it read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import TypeAdapter

from shared import telemetry
from shared.errors import Conflict, DomainError, Unavailable
from shared.files.copies import Copies, new_copies
from shared.files.photo import PHOTOS, Content, Photo, PhotoState
from shared.pictures.decoders import AT_ONCE, decoders
from shared.store import Store, UnitOfWork
from shared.store.collection import Document, Filter

MOST_COMPARED = 10_000
"""Photos that one is compared with: more than chance brings together among two million."""
MOST_SEEN = 20
"""Cases that are noted to show the same picture."""

Chore = Callable[[Photo], Awaitable[None]]

log = telemetry.logger(__name__)
_content = TypeAdapter(Content).validate_python


class Upkeep:
    """Does what committed photos need: one photo at a time for each, whatever commits come in between."""

    def __init__(self, store: Store, copies: Copies, alike_bits: int) -> None:
        self._store = store
        self._copies = copies
        self._alike_bits = alike_bits
        self._drawing = asyncio.Semaphore(AT_ONCE)
        self._news: dict[str, Photo] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}
        store.on_commit(self._listen)

    async def settle(self, id: str | None = None) -> None:
        """Returns when the work begun so far, on the photo or on all, is done or waits to be retried."""
        while tasks := [task for each, task in self._at_work.items() if id in {None, each}]:
            await asyncio.wait(tasks)

    def _listen(self, uow: UnitOfWork) -> None:
        for photo in uow.changed(PHOTOS):
            if self._chore(photo) is not None or photo.id in self._at_work:
                self._news[photo.id] = photo
                if photo.id not in self._at_work:
                    self._at_work[photo.id] = asyncio.create_task(self._attend(photo.id))

    def _chore(self, photo: Photo) -> Chore | None:
        """What the photo needs next."""
        if photo.state is PhotoState.ABANDONED:
            return self._discard
        if photo.state is PhotoState.REDRAWING:
            return self._redraw
        if photo.state is PhotoState.BARE and photo.original:
            return self._bare
        if photo.spare:
            return self._tidy
        if photo.claimed_by is not None and photo.seen_before is None:
            return self._recognise
        return None

    async def _attend(self, id: str) -> None:
        """One thing after the other: what a chore commits is news as well."""
        try:
            while (photo := self._news.pop(id, None)) is not None and (chore := self._chore(photo)) is not None:
                await chore(photo)
        except (Conflict, Unavailable, DomainError) as error:
            log.warning("work on a photo is taken up later", photo=id, why=repr(error))
        finally:
            self._news.pop(id, None)
            del self._at_work[id]

    async def _discard(self, photo: Photo) -> None:
        """An abandoned photo goes, and its files unless others share them."""
        await self._discard_copies(*photo.spare, *([photo.copies] if photo.copies else []))
        if not await self._store.count(PHOTOS, _holders("original", photo.original)):
            await self._copies.discard_original(photo.original)

        async def forget(uow: UnitOfWork) -> None:
            gone = await uow.find(PHOTOS, photo.id)
            if gone is not None:
                uow.delete(PHOTOS, gone)

        await self._store.run(forget)

    async def _bare(self, photo: Photo) -> None:
        """The original goes, unless others share it; then its name does."""
        if not await self._store.count(PHOTOS, _holders("original", photo.original)):
            await self._copies.discard_original(photo.original)

        async def strike(uow: UnitOfWork) -> None:
            kept = await uow.get(PHOTOS, photo.id)
            kept.original = ""
            kept.remind(uow.now)
            uow.save(PHOTOS, kept)

        await self._store.run(strike)

    async def _redraw(self, photo: Photo) -> None:
        """New copies, which are spare until they are complete and still what is wanted."""
        async with self._drawing:
            content = await self._copies.original(photo)
            picture = await decoders().redraw(content, photo.blackened)
        copies = new_copies()

        async def announce(uow: UnitOfWork) -> None:
            kept = await uow.get(PHOTOS, photo.id)
            kept.spare = (*kept.spare, copies)
            uow.save(PHOTOS, kept)

        async def complete(uow: UnitOfWork) -> Photo:
            kept = await uow.get(PHOTOS, photo.id)
            if kept.state is PhotoState.REDRAWING and kept.blackened == photo.blackened and copies in kept.spare:
                kept.state, kept.copies = PhotoState.READY, copies
                kept.spare = tuple(each for each in kept.spare if each != copies)
                kept.remind(uow.now)
                uow.save(PHOTOS, kept)
            return kept

        await self._store.run(announce)
        await self._copies.add_copies(copies, picture)
        kept = await self._store.run(complete)
        if kept.copies != copies:
            await self._copies.discard_copies(copies)
            self._news[photo.id] = kept

    async def _tidy(self, photo: Photo) -> None:
        """Copies that nobody can reach any more go."""
        await self._discard_copies(*photo.spare)

        async def strike(uow: UnitOfWork) -> None:
            kept = await uow.get(PHOTOS, photo.id)
            kept.spare = tuple(each for each in kept.spare if each not in photo.spare)
            kept.remind(uow.now)
            uow.save(PHOTOS, kept)

        await self._store.run(strike)

    async def _discard_copies(self, *names: str) -> None:
        for copies in names:
            if not await self._store.count(PHOTOS, _holders("copies", copies)):
                await self._copies.discard_copies(copies)

    async def _recognise(self, photo: Photo) -> None:
        """Note which others show the same picture. Of two that are claimed at once, each may find the other."""
        cases = await self._showing(photo)

        async def note(uow: UnitOfWork) -> None:
            kept = await uow.get(PHOTOS, photo.id)
            kept.seen_before = cases
            kept.remind(uow.now)
            uow.save(PHOTOS, kept)

        await self._store.run(note)

    async def _showing(self, photo: Photo) -> tuple[str, ...]:
        near: list[Filter] = [{"content.sha256": photo.content.sha256}]
        if photo.content.likeness is not None:
            near.append({"content.likeness.bands": {"$in": photo.content.likeness.probes(self._alike_bits)}})
        others: Filter = {"$or": near, "claimed_by": {"$nin": [None, photo.claimed_by]}}
        found = await self._store.driver.find(
            PHOTOS.name, others, limit=MOST_COMPARED, fields=("claimed_by", "content")
        )
        cases = {other["claimed_by"] for other in found if self._alike(photo.content, other)}
        return tuple(sorted(cases)[-MOST_SEEN:])

    def _alike(self, content: Content, other: Document) -> bool:
        known = _content(other["content"])
        if content.sha256 == known.sha256:
            return True
        if content.likeness is None or known.likeness is None:
            return False
        return content.likeness.difference(known.likeness) <= self._alike_bits


def _holders(part: str, name: str) -> Filter:
    """The photos that still need a file."""
    without = [PhotoState.ABANDONED, PhotoState.BARE] if part == "original" else [PhotoState.ABANDONED]
    return {part: name, "state": {"$nin": [state.value for state in without]}}
