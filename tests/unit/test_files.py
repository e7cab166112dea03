"""Photos: what is accepted, what copies show, and that nothing is left behind or missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms

from shared.clock import FixedClock
from shared.deadlines import Timekeeper
from shared.errors import DomainError, NotFound, TooLarge, Unavailable
from shared.files import MOST_BYTES, MOST_WAITING, PHOTO_DEADLINE, PHOTOS, UNCLAIMED_FOR, Files, Kind, Photo, Size
from shared.store import Store, UnitOfWork
from shared.store.collection import Document
from shared.testing.memory_store import MemoryDriver
from tests.photo_samples import (
    REFUSED,
    colours_of,
    corners,
    encoded,
    from_telephone,
    jpeg_of_scans,
    markers_of,
    png,
    swapping_profile,
)

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
UPRIGHT = ["red", "green", "blue", "white"]


class Disk(MemoryDriver):
    """Shows which files it holds, and fails on command."""

    room: int | None = None
    reachable = True

    @property
    def files(self) -> list[str]:
        return sorted(self._files)

    async def upload(self, id: str, content: bytes, metadata: Document) -> None:
        if self.room is not None and len(self._files) >= self.room:
            raise Unavailable("no answer")
        await super().upload(id, content, metadata)

    async def discard(self, id: str) -> None:
        if not self.reachable:
            raise Unavailable("no answer")
        await super().discard(id)


class BusyStore(Store):
    """Lets something else happen between the decision and the commit of one unit of work."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def commit(self, uow: UnitOfWork) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        await super().commit(uow)


class Scene:
    """A service's photos, with a clock to move."""

    def __init__(self) -> None:
        self.clock = FixedClock(START)
        self.disk = Disk(self.clock)
        self.store = BusyStore(self.disk, self.clock, [PHOTOS])
        self.files = Files(self.store)
        self._timekeeper = Timekeeper(self.store, PHOTO_DEADLINE)

    async def later(self, step: timedelta = UNCLAIMED_FOR) -> None:
        """The clock moves on and everything due has happened."""
        self.clock.advance(step)
        await self._timekeeper.look()
        await self.files.settle()

    async def claim(self, photo: Photo) -> None:
        async def command(uow: UnitOfWork) -> None:
            claimed = await uow.get(PHOTOS, photo.id)
            claimed.claimed_by, claimed.deadline_at = "case", None
            uow.save(PHOTOS, claimed)

        await self.store.run(command)

    async def photos(self) -> list[str]:
        return [photo.id for photo in await self.store.find(PHOTOS, {})]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def copies(scene: Scene, content: bytes) -> tuple[Photo, Image.Image, Image.Image]:
    photo = await scene.files.put(content)
    thumb, large = [Image.open(BytesIO(await scene.files.copy(photo, size))) for size in Size]
    return photo, thumb, large


# --- what is accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (encoded(corners()), Kind.JPEG),
        (encoded(corners(), progressive=True), Kind.JPEG),
        (encoded(corners(), "PNG"), Kind.PNG),
        (encoded(corners(), "PNG", interlace=True), Kind.PNG),
        (encoded(corners().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), Kind.PNG),
        (encoded(corners(), "WEBP"), Kind.WEBP),
        (encoded(corners(), "WEBP", lossless=True), Kind.WEBP),
        (encoded(corners().convert("CMYK")), Kind.JPEG),
        (encoded(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))]), Kind.JPEG),
        (encoded(corners(), "WEBP", save_all=True, append_images=[Image.new("RGB", (640, 480))]), Kind.WEBP),
        (encoded(corners(), "PNG", save_all=True, append_images=[Image.new("RGB", (640, 480))]), Kind.PNG),
        (encoded(corners()) + b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x02" * 5000, Kind.JPEG),
        (encoded(corners(), icc_profile=b"no profile at all"), Kind.JPEG),
        (encoded(corners(), exif=b"Exif\0\0 no notes at all"), Kind.JPEG),
    ],
    ids=[
        "jpeg", "progressive jpeg", "png", "interlaced png", "palette png", "webp", "lossless webp", "cmyk jpeg",
        "two photos in one jpeg", "moving webp", "moving png", "motion photo", "broken profile", "broken exif",
    ],
)  # fmt: skip
async def test_a_photo_of_any_accepted_kind_gets_its_copies(scene: Scene, content: bytes, kind: Kind) -> None:
    photo, thumb, large = await copies(scene, content)
    assert (photo.kind, photo.width, photo.height, photo.byte_count) == (kind, 640, 480, len(content))
    assert (thumb.format, thumb.mode, thumb.size) == ("JPEG", "RGB", (320, 240))
    assert (large.format, large.mode, large.size) == ("JPEG", "RGB", (640, 480))
    assert colours_of(await scene.files.copy(photo, Size.LARGE)) == UPRIGHT
    assert await scene.files.original(photo) == content


@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_photo_is_refused_without_a_trace(scene: Scene, content: bytes, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        await scene.files.put(content)
    assert refusal.value.code == code
    assert await scene.photos() == []
    assert scene.disk.files == []


async def test_a_photo_has_a_most_of_bytes(scene: Scene) -> None:
    photo = encoded(corners())
    await scene.files.put(photo.ljust(MOST_BYTES, b"\0"))
    with pytest.raises(TooLarge) as refusal:
        await scene.files.put(photo.ljust(MOST_BYTES + 1, b"\0"))
    assert refusal.value.params == {"limit": MOST_BYTES}


async def test_a_photo_cut_anywhere_is_refused_or_whole(scene: Scene) -> None:
    whole = encoded(corners(64, 48))
    for length in range(3, len(whole) - 2, 7):
        with pytest.raises(DomainError):
            await scene.files.put(whole[:length])
    assert scene.disk.files == []


async def test_a_progressive_photo_may_have_many_scans(scene: Scene) -> None:
    assert (await scene.files.put(jpeg_of_scans(50))).width == 64


async def test_more_photos_than_fit_into_memory_are_sent_away(scene: Scene) -> None:
    each = [encoded(Image.new("RGB", (8, 8), (shade, 0, 0))) for shade in range(MOST_WAITING + 1)]
    answers = await asyncio.gather(*map(scene.files.put, each), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Photo] * MOST_WAITING + [Unavailable]
    assert isinstance(await scene.files.put(each[-1]), Photo)


# --- what copies show ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
async def test_copies_are_upright(scene: Scene, kind: str, orientation: int) -> None:
    photo, thumb, large = await copies(scene, from_telephone(orientation, kind))
    assert (photo.width, photo.height) == large.size == (640, 480)
    assert thumb.size == (320, 240)
    for size in Size:
        assert colours_of(await scene.files.copy(photo, size)) == UPRIGHT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_copies_tell_nothing_but_their_pixels(scene: Scene, kind: str) -> None:
    content = from_telephone(6, kind)
    assert b"Telephone-Maker" in content
    photo = await scene.files.put(content)
    for size in Size:
        copy = await scene.files.copy(photo, size)
        # JFIF header, quantisation, frame, Huffman tables, scan: no APP1 (EXIF, XMP), APP2 (ICC) or comment.
        assert set(markers_of(copy)) == {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
        assert not Image.open(BytesIO(copy)).getexif()
        assert not any(secret in copy for secret in (b"Telephone-Maker", b"secret", b"Exif", b"xmp"))


async def test_colours_of_a_profile_become_those_of_a_screen(scene: Scene) -> None:
    swapped = encoded(corners(), icc_profile=swapping_profile())
    photo = await scene.files.put(swapped)
    assert colours_of(await scene.files.copy(photo, Size.LARGE)) == ["blue", "green", "red", "white"]


async def test_the_plain_profile_changes_nothing(scene: Scene) -> None:
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = await scene.files.put(encoded(corners(), "PNG", icc_profile=plain))
    assert colours_of(await scene.files.copy(photo, Size.LARGE)) == UPRIGHT


@pytest.mark.parametrize(
    ("content", "shade"),
    [
        (encoded(Image.new("RGBA", (40, 40), (200, 0, 0, 0)), "PNG"), (255, 255, 255)),
        (encoded(Image.new("LA", (40, 40), (0, 0)), "PNG"), (255, 255, 255)),
        (encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), "WEBP", lossless=True), (255, 255, 255)),
        (encoded(Image.new("P", (40, 40), 0), "PNG", transparency=0), (255, 255, 255)),
        (encoded(Image.new("1", (40, 40), 1), "PNG"), (255, 255, 255)),
        (encoded(Image.new("I;16", (40, 40), 128 * 256), "PNG"), (128, 128, 128)),
        (png(2, 2, 16, 2, (b"\0" + b"\x80\x00\x40\x00\x20\x00" * 2) * 2), (128, 64, 32)),
        (png(2, 2, 16, 6, (b"\0" + b"\x80\x00\x40\x00\x20\x00\xff\xff" * 2) * 2), (128, 64, 32)),
    ],
    ids=["clear", "clear grey", "clear webp", "clear palette", "bits", "16-bit grey", "16-bit", "16-bit with alpha"],
)
async def test_pixels_of_every_form_keep_their_look(scene: Scene, content: bytes, shade: tuple[int, int, int]) -> None:
    _, _, large = await copies(scene, content)
    seen = large.getpixel((1, 1))
    assert isinstance(seen, tuple)
    assert all(abs(int(a) - b) <= 4 for a, b in zip(seen, shade, strict=True)), seen


@pytest.mark.parametrize(
    ("size", "thumb", "large"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((1, 9000), (1, 320), (1, 1600)),
        ((9000, 3), (320, 1), (1600, 1)),
        ((4000, 3000), (320, 240), (1600, 1200)),
        ((8192, 6144), (320, 240), (1600, 1200)),
    ],
    ids=str,
)
async def test_copies_fit_their_squares_and_are_never_enlarged(
    scene: Scene, size: tuple[int, int], thumb: tuple[int, int], large: tuple[int, int]
) -> None:
    photo, small, big = await copies(scene, encoded(Image.new("L", size, 90)))
    assert ((photo.width, photo.height), small.size, big.size) == (size, thumb, large)


# --- nothing is left behind, nothing is missing -------------------------------------------------------------


async def test_equal_photos_are_stored_once_and_told_apart(scene: Scene) -> None:
    first, second = await scene.files.put(encoded(corners())), await scene.files.put(encoded(corners()))
    assert first.id != second.id
    assert len(scene.disk.files) == 3
    assert await scene.files.copy(first, Size.THUMB) == await scene.files.copy(second, Size.THUMB)


async def test_a_photo_that_nobody_claims_is_gone_after_its_time(scene: Scene) -> None:
    await scene.files.put(encoded(corners()))
    await scene.later(UNCLAIMED_FOR - timedelta(milliseconds=1))
    assert len(scene.disk.files) == 3
    await scene.later(timedelta(milliseconds=1))
    assert (await scene.photos(), scene.disk.files) == ([], [])


async def test_a_claimed_photo_keeps_the_files_it_shares(scene: Scene) -> None:
    kept, _ = await scene.files.put(encoded(corners())), await scene.files.put(encoded(corners()))
    await scene.claim(kept)
    await scene.later()
    assert await scene.photos() == [kept.id]
    assert await scene.files.original(kept) == encoded(corners())


async def test_a_claimed_photo_is_not_shared_with_its_claim(scene: Scene) -> None:
    await scene.claim(await scene.files.put(encoded(corners())))
    stranger = await scene.files.put(encoded(corners()))
    assert (stranger.claimed_by, stranger.public) == (None, False)
    assert stranger.deadline_at == START + UNCLAIMED_FOR


async def test_equal_photos_abandoned_together_leave_nothing(scene: Scene) -> None:
    await asyncio.gather(*(scene.files.put(encoded(corners())) for _ in range(4)))
    await scene.files.put(encoded(corners()))
    await scene.later()
    assert (await scene.photos(), scene.disk.files) == ([], [])


@pytest.mark.parametrize("room", [0, 1, 2])
async def test_an_upload_that_breaks_off_leaves_nothing(scene: Scene, room: int) -> None:
    scene.disk.room = room
    with pytest.raises(Unavailable):
        await scene.files.put(encoded(corners()))
    assert len(scene.disk.files) == room
    scene.disk.room = None
    whole = await scene.files.put(encoded(corners()))
    await scene.claim(whole)
    await scene.later()
    assert await scene.photos() == [whole.id]
    assert len(scene.disk.files) == 3


async def test_files_that_cannot_be_discarded_now_are_discarded_later(scene: Scene) -> None:
    photo = await scene.files.put(encoded(corners()))
    scene.disk.reachable = False
    await scene.later()
    assert await scene.photos() == [photo.id]
    scene.disk.reachable = True
    await scene.later(timedelta(hours=1))
    assert (await scene.photos(), scene.disk.files) == ([], [])


async def test_a_photo_abandoned_while_it_is_shared_takes_no_files_away(scene: Scene) -> None:
    await scene.files.put(encoded(corners()))
    scene.store.meanwhile = scene.later
    photo = await scene.files.put(encoded(corners()))
    assert await scene.photos() == [photo.id]
    assert await scene.files.original(photo) == encoded(corners())


async def test_a_photo_shared_while_it_is_abandoned_keeps_its_files(scene: Scene) -> None:
    first = await scene.files.put(encoded(corners()))
    shared: list[Photo] = []

    async def share() -> None:
        shared.append(await scene.files.put(encoded(corners())))

    scene.store.meanwhile = share
    await scene.later()
    assert shared[0].file == first.file
    assert await scene.photos() == [shared[0].id]
    assert await scene.files.original(shared[0]) == encoded(corners())


async def test_a_photo_whose_files_are_gone_is_not_found(scene: Scene) -> None:
    photo = await scene.files.put(encoded(corners()))
    await scene.later()
    read: list[Callable[[], Awaitable[Any]]] = [
        lambda: scene.files.original(photo),
        lambda: scene.files.copy(photo, Size.THUMB),
    ]
    for attempt in read:
        with pytest.raises(NotFound) as refusal:
            await attempt()
        assert refusal.value.code == "photos-not-found"
