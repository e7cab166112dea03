"""Photos that people hand in: the original untouched and kept apart, and copies that give nothing away.

    photo = await files.put(content)              # decoded, copied, stored; unclaimed for now
    ...                                           # whatever shows it sets `claimed_by` in its own unit of work
    jpeg = await files.copy(photo, Size.LARGE)

What a photo is, is read from its bytes, never from a name or a header. Copies are drawn anew from the pixels: no
EXIF, GPS, XMP, colour profile, comment or embedded thumbnail survives, and there is no way from a copy that
cannot be made back to the original.

Nothing is left behind and nothing is missing, wherever a process dies. The document is there before its files and
READY after them; one that nobody claims within `UNCLAIMED_FOR` becomes ABANDONED, then its files go, then it goes
itself, and what was interrupted is done again when its deadline comes round. Equal content is stored once: a
document may share the files of another only while writing that other one in the same transaction, so that sharing
and abandoning exclude each other, and names of files are never used again.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from io import BytesIO
from typing import TypeVar

from PIL import ExifTags, Image, ImageCms, ImageFile

from shared import telemetry
from shared.deadlines import Deadline
from shared.errors import Conflict, DomainError, Invalid, NotFound, TooLarge, Unavailable, Unsupported
from shared.store import Collection, Index, Store, UnitOfWork

MOST_BYTES = 15 * 1024 * 1024
"""Bytes of a photo: the largest that telephones of 2025 take in their usual mode, with room to spare."""
UNCLAIMED_FOR = timedelta(hours=24)
"""How long a photo waits for the report it belongs to."""
DISCARD_AGAIN_AFTER = timedelta(hours=1)
AT_ONCE = 2
"""Photos being decoded by one process, at up to about 0.6 GB each."""
MOST_WAITING = 24
"""Photos held in memory by one process, those being decoded included; more are sent away for the moment."""
MOST_SCANS = 100
"""Passes over one JPEG (progressive ones have about 10): many tiny ones keep a processor busy for an hour."""
QUALITY = 82

R = TypeVar("R")

log = telemetry.logger(__name__)


class Kind(StrEnum):
    """What kinds of photos are accepted. Of a moving picture, copies show the first frame."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def most_pixels(self) -> int:
        """Pixels beyond which a photo is refused unread. JPEG alone can be decoded at a fraction of its size."""
        return 65_000_000 if self is Kind.JPEG else 25_000_000


class Size(StrEnum):
    """The copies of a photo; each fits into a square and is never larger than the original."""

    THUMB = "thumb"
    LARGE = "large"

    @property
    def edge(self) -> int:
        """Pixels of the square's edge."""
        return 320 if self is Size.THUMB else 1600


class PhotoState(StrEnum):
    """ARRIVING: its files may be incomplete. READY. ABANDONED: its files are going."""

    ARRIVING = "arriving"
    READY = "ready"
    ABANDONED = "abandoned"


@dataclass
class Photo:
    """A photo that was handed in; `id` cannot be guessed.

    `width` and `height` are pixels of the original, held upright. `sha256` is that of the original's bytes;
    `file` begins the names of its files. `claimed_by` is the identity of what shows it, `public` whether
    everybody may see it there. Times are UTC; `deadline_at` is set until the photo is claimed.
    """

    id: str
    file: str
    sha256: str
    kind: Kind
    width: int
    height: int
    byte_count: int
    uploaded_at: datetime
    deadline_at: datetime | None
    state: PhotoState = PhotoState.ARRIVING
    claimed_by: str | None = None
    public: bool = False


PHOTOS = Collection(
    "photos",
    Photo,
    [Index((("deadline_at", 1),)), Index((("sha256", 1),)), Index((("file", 1),))],
)


async def abandon(uow: UnitOfWork, id: str) -> None:
    """The deadline has passed; a photo that has meanwhile been claimed stays."""
    photo = await uow.find(PHOTOS, id)
    if photo is not None and photo.deadline_at is not None and photo.deadline_at <= uow.now:
        photo.state = PhotoState.ABANDONED
        photo.deadline_at = uow.now + DISCARD_AGAIN_AFTER
        uow.save(PHOTOS, photo)


PHOTO_DEADLINE = Deadline(PHOTOS, abandon)


class Files:
    """The photos of one service. Every process that runs `PHOTO_DEADLINE` needs one: it discards the files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="photos")
        self._waiting = 0
        self._discarding: set[asyncio.Task[None]] = set()
        store.on_commit(self._listen)

    async def put(self, content: bytes) -> Photo:
        """Keep a photo, unclaimed. One that is refused leaves no trace.

        Raises Unsupported (`photo-kind-unsupported`, `photo-heic-unsupported`), Invalid (`photo-empty`,
        `photo-broken`, `photo-too-many-pixels`), TooLarge (`photo-too-large`), and Unavailable when too many
        wait already.
        """
        digest = await self._work(lambda: sha256(_admitted(content)).hexdigest())
        return await self._share(digest) or await self._keep(digest, content)

    async def copy(self, photo: Photo, size: Size) -> bytes:
        """The public copy: a JPEG. Raises NotFound (`photos-not-found`)."""
        return await self._read(photo, size.value)

    async def original(self, photo: Photo) -> bytes:
        """The bytes as they came: with the place it was taken at, and whatever else somebody put into them."""
        return await self._read(photo, "original")

    async def settle(self) -> None:
        """Returns when the files of every photo abandoned by this process so far are gone, or wait to be retried."""
        await asyncio.gather(*self._discarding)

    async def _share(self, digest: str) -> Photo | None:
        """A new document on the files of an equal photo, if there is one to share with."""
        equal = await self._store.find(PHOTOS, {"sha256": digest, "state": PhotoState.READY.value}, limit=1)
        if not equal:
            return None

        async def share(uow: UnitOfWork) -> Photo | None:
            twin = await uow.find(PHOTOS, equal[0].id)
            if twin is None or twin.state is not PhotoState.READY:
                return None
            uow.save(PHOTOS, twin)  # unchanged: it guards against the twin being abandoned meanwhile
            deadline = uow.now + UNCLAIMED_FOR
            photo = replace(
                twin, id=_new_id(), uploaded_at=uow.now, deadline_at=deadline, claimed_by=None, public=False
            )
            uow.insert(PHOTOS, photo)
            return photo

        return await self._store.run(share)

    async def _keep(self, digest: str, content: bytes) -> Photo:
        picture = await self._work(lambda: _Picture.read(content))

        async def announce(uow: UnitOfWork) -> Photo:
            photo = Photo(
                id=_new_id(),
                file=f"{digest}-{secrets.token_hex(8)}",
                sha256=digest,
                kind=picture.kind,
                width=picture.width,
                height=picture.height,
                byte_count=len(content),
                uploaded_at=uow.now,
                deadline_at=uow.now + UNCLAIMED_FOR,
            )
            uow.insert(PHOTOS, photo)
            return photo

        photo = await self._store.run(announce)
        await self._store.upload(_name(photo, "original"), content, {"contentType": picture.kind.media_type})
        for size, copy in picture.copies.items():
            await self._store.upload(_name(photo, size.value), copy, {"contentType": Kind.JPEG.media_type})

        async def complete(uow: UnitOfWork) -> Photo:
            kept = await uow.get(PHOTOS, photo.id)
            kept.state = PhotoState.READY
            uow.save(PHOTOS, kept)
            return kept

        return await self._store.run(complete)

    async def _read(self, photo: Photo, part: str) -> bytes:
        try:
            return b"".join([piece async for piece in self._store.download(_name(photo, part))])
        except NotFound:
            raise NotFound("photos-not-found", id=photo.id) from None

    async def _work(self, call: Callable[[], R]) -> R:
        """Off the event loop. A thread that is at it counts even when nobody waits for it any more."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many photos at once")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._workers, call)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _: asyncio.Future[R]) -> None:
        self._waiting -= 1

    def _listen(self, uow: UnitOfWork) -> None:
        for photo in uow.changed(PHOTOS):
            if photo.state is PhotoState.ABANDONED:
                task = asyncio.create_task(self._discard(photo))
                self._discarding.add(task)
                task.add_done_callback(self._discarding.discard)

    async def _discard(self, photo: Photo) -> None:
        others = {"file": photo.file, "state": {"$ne": PhotoState.ABANDONED.value}}

        async def forget(uow: UnitOfWork) -> None:
            gone = await uow.find(PHOTOS, photo.id)
            if gone is not None:
                uow.delete(PHOTOS, gone)

        try:
            if not await self._store.count(PHOTOS, others):
                for part in ("original", *(size.value for size in Size)):
                    await self._store.driver.discard(_name(photo, part))
            await self._store.run(forget)
        except (Conflict, Unavailable) as error:
            log.warning("an abandoned photo is discarded later", photo=photo.id, why=repr(error))


def _new_id() -> str:
    return secrets.token_urlsafe(16)


def _name(photo: Photo, part: str) -> str:
    return f"{photo.file}/{part}"


def _admitted(content: bytes) -> bytes:
    """The content, if its length may be that of a photo."""
    if not content:
        raise Invalid("photo-empty")
    if len(content) > MOST_BYTES:
        raise TooLarge("photo-too-large", limit=MOST_BYTES)
    return content


# ISO 23000-22 and the brands that cameras write into files of its kind.
_HEIC = re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
# A marker that is neither a stuffed byte nor a restart within a scan (ITU-T T.81, B.1.1).
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_SCAN, _END, _BARE = 0xDA, 0xD9, frozenset({0x01, 0xD8})
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What holds a photo upright, by its EXIF orientation."""
_LYING = frozenset({5, 6, 7, 8})


@dataclass(frozen=True)
class _Picture:
    """What is read from a photo's bytes."""

    kind: Kind
    width: int
    height: int
    copies: dict[Size, bytes]

    @classmethod
    def read(cls, content: bytes) -> _Picture:
        kind = _kind(content)
        if kind is Kind.JPEG and _has_too_many_scans(content):
            raise Invalid("photo-broken")
        try:
            with Image.open(BytesIO(content), formats=[kind.name]) as image:
                return cls._of(kind, image)
        except Image.DecompressionBombError:
            raise Invalid("photo-too-many-pixels", limit=kind.most_pixels) from None
        except DomainError:
            raise
        except MemoryError as error:
            raise Unavailable("no memory to decode a photo") from error
        except Exception as error:  # decoders answer hostile bytes with whatever fails first; all means one thing
            raise Invalid("photo-broken") from error

    @classmethod
    def _of(cls, kind: Kind, image: ImageFile.ImageFile) -> _Picture:
        width, height = image.size
        if width * height > kind.most_pixels:
            raise Invalid("photo-too-many-pixels", limit=kind.most_pixels)
        orientation = _orientation(image)
        copy = _drawn_anew(image, orientation)
        copies = {Size.LARGE: _jpeg(copy)}
        copy.thumbnail((Size.THUMB.edge, Size.THUMB.edge))
        copies[Size.THUMB] = _jpeg(copy)
        if orientation in _LYING:
            width, height = height, width
        return cls(kind, width, height, copies)


def _kind(content: bytes) -> Kind:
    if content.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return Kind.WEBP
    code = "photo-heic-unsupported" if _HEIC.match(content) else "photo-kind-unsupported"
    raise Unsupported(code, kinds=", ".join(kind.name for kind in Kind))


def _has_too_many_scans(content: bytes) -> bool:
    """Whether decoding would cost far more than the size of the JPEG tells. What follows its end does not count."""
    at, scans = 2, 0
    while (found := _MARKER.search(content, at)) and found[1][0] != _END:
        at = found.end()
        if found[1][0] not in _BARE:
            at += int.from_bytes(content[at : at + 2], "big")
        scans += found[1][0] == _SCAN
        if scans > MOST_SCANS:
            return True
    return False


def _orientation(image: Image.Image) -> object:
    """The EXIF orientation: 1 to 8 where it makes sense."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # unreadable notes do not make the pixels unreadable
        return None


def _drawn_anew(image: ImageFile.ImageFile, orientation: object) -> Image.Image:
    """The pixels upright on a fresh sheet: sRGB, opaque, no larger than the largest copy, and nothing else.

    Made small first: the steps after it then cost next to nothing, in time and in memory.
    """
    profile = image.info.get("icc_profile")
    resizable = _resizable(image)
    resizable.thumbnail((Size.LARGE.edge, Size.LARGE.edge), reducing_gap=2.0)
    pixels = _srgb(_opaque(resizable), profile)
    if isinstance(orientation, int) and orientation in _UPRIGHT:
        pixels = pixels.transpose(_UPRIGHT[orientation])
    sheet = Image.new("RGB", pixels.size)
    sheet.paste(pixels)
    return sheet


def _resizable(image: Image.Image) -> Image.Image:
    """Pixels that can be averaged: no palette, no single bits, eight bits to a channel."""
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 256, "L")
    if image.mode not in {"RGBA", "LA"} and image.has_transparency_data:
        return image.convert("RGBA")
    plain = {"P": "RGB", "1": "L"}.get(image.mode)
    return image.convert(plain) if plain else image


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode not in {"RGBA", "LA"}:
        return image
    colours = image.convert(image.mode.removesuffix("A"))
    paper = Image.new(colours.mode, image.size, "white")
    paper.paste(colours, mask=image.getchannel("A"))
    return paper


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The colours as a screen without colour management shows them right."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            log.debug("a colour profile that does not fit is left out")
        else:
            assert converted is not None, "only a conversion in place returns nothing"  # noqa: S101
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    written = BytesIO()
    image.save(written, "JPEG", quality=QUALITY, optimize=True)
    return written.getvalue()
