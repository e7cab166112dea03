"""Where the files of photos are: an original and the copies drawn from it, under names that are never used again."""

from __future__ import annotations

import secrets

from shared.errors import NotFound
from shared.files.photo import Photo
from shared.pictures.picture import Kind, Picture, Size
from shared.store import Store

ORIGINAL = "original"


def new_original(digest: str) -> str:
    """What begins the name of an original's file."""
    return f"{digest}-{secrets.token_hex(8)}"


def new_copies() -> str:
    """What begins the names of the copies; it tells nothing of the original."""
    return secrets.token_hex(16)


class Copies:
    """The files of one service's photos."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add_original(self, original: str, content: bytes, kind: Kind) -> None:
        """Keep the bytes as they came."""
        await self._store.upload(f"{original}/{ORIGINAL}", content, {"contentType": kind.media_type})

    async def add_copies(self, copies: str, picture: Picture) -> None:
        """Keep what was drawn."""
        for size, copy in picture.copies.items():
            await self._store.upload(f"{copies}/{size.value}", copy, {"contentType": Kind.JPEG.media_type})

    async def original(self, photo: Photo) -> bytes:
        """Raises NotFound (`photos-not-found`)."""
        return await self._read(photo, f"{photo.original}/{ORIGINAL}")

    async def copy(self, photo: Photo, size: Size) -> bytes:
        """Raises NotFound (`photos-not-found`)."""
        return await self._read(photo, f"{photo.copies}/{size.value}")

    async def discard_original(self, original: str) -> None:
        """May be repeated."""
        await self._store.driver.discard(f"{original}/{ORIGINAL}")

    async def discard_copies(self, copies: str) -> None:
        """May be repeated."""
        for size in Size:
            await self._store.driver.discard(f"{copies}/{size.value}")

    async def _read(self, photo: Photo, name: str) -> bytes:
        try:
            return b"".join([piece async for piece in self._store.download(name)])
        except NotFound:
            raise NotFound("photos-not-found", id=photo.id) from None
