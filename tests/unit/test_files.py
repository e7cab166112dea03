"""Photos: what is accepted, what copies show, and that nothing is left behind or missing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from shared.clock import FixedClock
from shared.deadlines import Timekeeper
from shared.errors import DomainError, Invalid, NotFound, Refused, TooLarge, TooMany, Unavailable
from shared.files import (
    AGAIN_AFTER,
    EACH_WAITING,
    MOST_BYTES,
    MOST_DIFFERING,
    MOST_REGIONS,
    MOST_WAITING,
    PHOTO_DEADLINE,
    PHOTOS,
    UNCLAIMED_FOR,
    Files,
    Kind,
    Likeness,
    Photo,
    PhotoState,
    Region,
    Size,
)
from shared.geo import Point
from shared.pictures.decoders import Decoders
from shared.pictures.heic import pixels_of
from shared.pictures.picture import Picture
from shared.store import Store, UnitOfWork
from shared.store.collection import Document
from shared.testing.memory_store import MemoryDriver
from tests.photo_samples import (
    REFUSED,
    colours_of,
    corners,
    encoded,
    from_telephone,
    heic,
    jpeg_of_scans,
    markers_of,
    picture,
    png,
    swapping_profile,
)

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
ALIKE_BITS = 6
ROOT = Path(__file__).parents[2]
UPRIGHT = ["red", "green", "blue", "white"]


class Disk(MemoryDriver):
    """Shows which files it holds, and fails on command."""

    room: int | None = None
    reachable = True
    uploads = 0

    @property
    def files(self) -> list[str]:
        return sorted(self._files)

    async def upload(self, id: str, content: bytes, metadata: Document) -> None:
        if self.room is not None and len(self._files) >= self.room:
            raise Unavailable("no answer")
        self.uploads += 1
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

    def __init__(self, before: Scene | None = None) -> None:
        """`before`: the process that has died, whose database this one finds."""
        self.clock: FixedClock = before.clock if before else FixedClock(START)
        self.disk: Disk = before.disk if before else Disk(self.clock)
        self.store = BusyStore(self.disk, self.clock, [PHOTOS])
        self.files = Files(self.store, ALIKE_BITS)
        self._timekeeper = Timekeeper(self.store, PHOTO_DEADLINE, None)

    async def later(self, step: timedelta = UNCLAIMED_FOR) -> None:
        """The clock moves on and everything due has happened."""
        self.clock.advance(step)
        await self._timekeeper.look()
        await self.files.settle()

    async def change(self, photo: Photo, change: Callable[[Photo, datetime], None]) -> Photo:
        """Decide something about a photo; the work that follows from it is done."""

        async def command(uow: UnitOfWork) -> None:
            kept = await uow.get(PHOTOS, photo.id)
            change(kept, uow.now)
            uow.save(PHOTOS, kept)

        await self.store.run(command)
        await self.files.settle()
        return await self.seen(photo)

    async def elsewhere(self, photo: Photo, change: Callable[[Photo, datetime], None]) -> None:
        """The same in a process that dies before it does anything else."""

        async def command(uow: UnitOfWork) -> None:
            kept = await uow.get(PHOTOS, photo.id)
            change(kept, uow.now)
            uow.save(PHOTOS, kept)

        await Store(self.disk, self.clock, [PHOTOS]).run(command)

    async def claim(self, photo: Photo, case: str = "case") -> Photo:
        return await self.change(photo, lambda kept, now: kept.claim(case, True, now))

    async def blacken(self, photo: Photo, *regions: Region) -> Photo:
        return await self.change(photo, lambda kept, now: kept.blacken(regions, now))

    async def seen(self, photo: Photo) -> Photo:
        """The photo as it is now."""
        found = await self.store.get(PHOTOS, photo.id)
        assert found is not None
        return found

    async def claimed(self, content: bytes, case: str = "case") -> Photo:
        return await self.claim(await self.files.put(content), case)

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
        (encoded(corners(), "HEIC"), Kind.HEIC),
        (encoded(corners(), "HEIC", tile_size=256), Kind.HEIC),
        (encoded(corners().convert("RGBA"), "HEIC"), Kind.HEIC),
        (encoded(corners(), "HEIC", save_all=True, append_images=[Image.new("RGB", (64, 48))]), Kind.HEIC),
        (encoded(corners(), "HEIC") + bytes(1000), Kind.HEIC),
        (encoded(corners()) + b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x02" * 5000, Kind.JPEG),
        (encoded(corners(), icc_profile=b"no profile at all"), Kind.JPEG),
        (encoded(corners(), exif=b"Exif\0\0 no notes at all"), Kind.JPEG),
    ],
    ids=[
        "jpeg", "progressive jpeg", "png", "interlaced png", "palette png", "webp", "lossless webp", "cmyk jpeg",
        "two photos in one jpeg", "moving webp", "moving png", "heic", "heic of tiles", "heic with alpha",
        "two photos in one heic", "heic and more", "motion photo", "broken profile", "broken exif",
    ],
)  # fmt: skip
async def test_a_photo_of_any_accepted_kind_gets_its_copies(scene: Scene, content: bytes, kind: Kind) -> None:
    photo, thumb, large = await copies(scene, content)
    found = photo.content
    assert (found.kind, found.width, found.height, found.byte_count) == (kind, 640, 480, len(content))
    assert found.sha256 == sha256(content).hexdigest()
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
    for whole in (encoded(corners(64, 48)), encoded(corners(64, 48), "HEIC")):
        for length in range(3, len(whole) - 2, 7):
            with pytest.raises(DomainError):
                await scene.files.put(whole[:length])
    assert scene.disk.files == []


async def test_a_progressive_photo_may_have_many_scans(scene: Scene) -> None:
    assert (await scene.files.put(jpeg_of_scans(50))).content.width == 64


async def test_more_photos_than_fit_into_memory_are_sent_away(scene: Scene) -> None:
    each = [encoded(Image.new("RGB", (8, 8), (shade, 0, 0))) for shade in range(MOST_WAITING + 1)]
    answers = await asyncio.gather(*map(scene.files.put, each), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Photo] * MOST_WAITING + [Unavailable]
    assert isinstance(await scene.files.put(each[-1]), Photo)


async def test_one_address_waits_in_its_own_line(scene: Scene) -> None:
    each = [encoded(Image.new("RGB", (8, 8), (shade, 9, 0))) for shade in range(EACH_WAITING + 2)]
    *greedy, other = await asyncio.gather(
        *(scene.files.put(content, "1.2.3.4") for content in each[:-1]),
        scene.files.put(each[-1], "1.2.3.5"),
        return_exceptions=True,
    )
    assert [type(answer) for answer in greedy] == [Photo] * EACH_WAITING + [TooMany]
    assert isinstance(other, Photo)


# --- what would cost too much -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [48_000, MOST_BYTES])
async def test_bytes_that_never_become_a_marker_cost_nothing(scene: Scene, length: int) -> None:
    began = time.process_time()
    with pytest.raises(Invalid, match="photo-broken"):
        await scene.files.put(b"\xff\xd8" + b"\xff" * (length - 2))
    assert time.process_time() - began < 1


async def test_the_more_pixels_the_fewer_scans() -> None:
    few = jpeg_of_scans(50, edge=2048)
    with pytest.raises(Invalid, match="photo-broken"):
        Picture.read(jpeg_of_scans(50, edge=4096))
    assert Picture.read(few).width == 2048


SLEEPER = "import time; time.sleep(600)"
SPENT = "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)"
CRASHER = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
LIAR = "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\x02{}'); sys.stdout.flush(); sys.stdin.read()"
MUMBLER = "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\x02xx'); sys.stdout.flush(); sys.stdin.read()"


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        (SPENT, Invalid),
        (CRASHER, Invalid),
        (KILLED, Unavailable),
        (SLEEPER, Unavailable),
        (LIAR, Unavailable),
        (MUMBLER, Unavailable),
        ("", Unavailable),
    ],
    ids=["computes for ever", "crashes", "is killed", "stalls", "lies", "mumbles", "ends"],
)
async def test_a_decoder_that_fails_takes_one_photo_with_it(
    monkeypatch: pytest.MonkeyPatch, program: str, outcome: type[Exception]
) -> None:
    monkeypatch.setattr("shared.pictures.decoders.PATIENCE", 3.0)
    decoders = Decoders([sys.executable, "-c", program])
    began = time.monotonic()
    with pytest.raises(outcome):
        await decoders.read(encoded(corners(64, 48)))
    assert time.monotonic() - began < 60
    decoders._command = Decoders()._command
    assert (await decoders.read(encoded(corners(64, 48)))).width == 64


def confined(program: str) -> str:
    """What a decoder answers that runs the program once it is confined."""
    code = f"from shared.pictures import decoder\ndecoder.warm_up()\ndecoder._confine()\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stderr.strip().rpartition("\n")[2] or done.stdout.strip() or f"ended by {-done.returncode}"


def test_a_decoder_may_open_no_file_and_take_no_more_memory_than_a_photo() -> None:
    assert "Too many open files" in confined("open('/etc/hostname')")
    assert "Too many open files" in confined("import socket; socket.socket()")
    assert "MemoryError" in confined("bytes(2_000_000_000)")
    assert confined("decoder._allow(1)\nwhile True: pass") == f"ended by {signal.SIGXCPU.value}"


async def test_a_decoder_knows_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONAL_KEYS", "secret")
    teller = (
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV if 'PERSONAL_KEYS' in os.environ else signal.SIGKILL)"
    )
    with pytest.raises(Unavailable):
        await Decoders([sys.executable, "-c", teller]).read(b"x")


# --- what copies show ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
async def test_copies_are_upright(scene: Scene, kind: str, orientation: int) -> None:
    photo, thumb, large = await copies(scene, from_telephone(orientation, kind))
    assert (photo.content.width, photo.content.height) == large.size == (640, 480)
    assert thumb.size == (320, 240)
    for size in Size:
        assert colours_of(await scene.files.copy(photo, size)) == UPRIGHT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
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
    assert ((photo.content.width, photo.content.height), small.size, big.size) == (size, thumb, large)


async def test_colours_of_a_profile_in_a_heic_photo_become_those_of_a_screen(scene: Scene) -> None:
    photo = await scene.files.put(encoded(corners(), "HEIC", icc_profile=swapping_profile()))
    assert colours_of(await scene.files.copy(photo, Size.LARGE)) == ["blue", "green", "red", "white"]


# --- what decoding costs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (heic({1: (4032, 3024)}), 4032 * 3024),
        (heic({1: (1000, 700), 2: (512, 512)}, {1: [2, 2, 2, 2]}), 4 * 512 * 512),
        (heic({1: (100, 100), 70_000: (64, 64)}, {1: [70_000] * 9}, wide=True), 9 * 64 * 64),
        (heic({1: (64, 64), 2: (64, 64), 3: (512, 512)}, {1: [2, 2], 2: [3] * 50}), 100 * 512 * 512),
        (heic({1: (64, 64), 2: (3000, 3000)}, {1: [9]}), 2**40),
        (heic({2: (64, 64)}), 2**40),
        (heic({1: (1000, 1000), 2: (1000, 1000), 3: (500, 500)}, planes={2: [1], 3: [1]}), 1_000_000),
    ],
    ids=["one piece", "tiles", "wide tiles", "tiles of tiles", "untold tile", "untold", "with planes"],
)
def test_pixels_of_heic_are_counted_tile_by_tile(content: bytes, pixels: int) -> None:
    assert pixels_of(content) == pixels


@pytest.mark.parametrize(
    "content",
    [
        heic({1: (64, 64), 2: (64, 64)}, {1: [2], 2: [1]}),
        heic({n: (64, 64) for n in range(1, 7)}, {n: [n + 1] for n in range(1, 6)}),
        heic({1: (64, 64), 2: (3000, 3000)}, planes={2: [1]}),
        heic({1: (64, 64)}, planes={2: [1]}),
        heic({1: (64, 64)}, lengths=[200] * 4),
        heic({1: (64, 64)}, lengths=[0] * 3),
        heic({1: (64, 64)}) * 2,
        heic({1: (64, 64)}).replace(b"iprp", b"free"),
        heic({1: (64, 64)}).replace(b"meta", b"free"),
        heic({1: (64, 64)}, {n: [1] * 65_535 for n in range(2, 7)}, wide=True),
    ],
    ids=[
        "in a circle", "too deep", "huge plane", "untold plane", "bytes used again", "the whole file again",
        "told twice", "no sizes", "no description", "a description without end",
    ],
)  # fmt: skip
def test_heic_that_no_camera_writes_is_not_decoded(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever is wrong with it)
        pixels_of(content)


# --- what the camera noted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
async def test_the_camera_s_place_and_time_are_kept_as_a_hint(scene: Scene, kind: str) -> None:
    hint = (await scene.seen(await scene.files.put(from_telephone(6, kind)))).content.hint
    assert hint is not None
    assert hint.place == Point(112.601111, 26.89)
    assert hint.taken_at == datetime(2026, 3, 1, 8, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("gps", "notes", "place", "taken_at"),
    [
        ({1: "S", 2: (26.0, 30.0, 0.0), 3: "W", 4: (112.0, 0.0, 0.0)}, {}, Point(-112, -26.5), None),
        ({}, {"at": "2026:03:01 08:00:00", "offset": "+09:00"}, None, datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ({}, {"at": "2026:03:01 08:00:00", "offset": "somewhere"}, None, datetime(2026, 3, 1, tzinfo=UTC)),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, {}, None, None),
        ({1: "N", 2: (126.0, 0.0, 0.0), 3: "E", 4: (12.0, 0.0, 0.0)}, {}, None, None),
        ({1: "N", 2: 26.0, 3: "E", 4: (12.0, 0.0, 0.0)}, {"at": "    :  :     :  :  "}, None, None),
        ({1: "N"}, {"at": "0001:01:01 00:00:00"}, None, None),
    ],
    ids=["south west", "with offset", "odd offset", "zero", "nowhere on earth", "other form", "half of it"],
)
async def test_notes_are_read_as_far_as_they_make_sense(
    scene: Scene, gps: dict[int, Any], notes: dict[str, str], place: Point | None, taken_at: datetime | None
) -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = gps
    codes = {"at": ExifTags.Base.DateTimeOriginal, "offset": ExifTags.Base.OffsetTimeOriginal}
    exif[ExifTags.IFD.Exif] = {codes[name]: each for name, each in notes.items()}
    hint = (await scene.files.put(encoded(corners(), exif=exif))).content.hint
    assert ((hint.place, hint.taken_at) if hint else (None, None)) == (place, taken_at)


# --- the same picture again ---------------------------------------------------------------------------------


def likeness(image: Image.Image) -> Likeness:
    found = Likeness.of(image)
    assert found is not None
    return found


def again(image: Image.Image, kind: str = "JPEG", scale: float = 0.5, **options: object) -> bytes:
    """The picture as it comes back from a chat: smaller and compressed once more."""
    return encoded(image.resize((int(image.width * scale), int(image.height * scale))), kind, **options)


def test_a_picture_is_like_itself_however_it_was_saved() -> None:
    for seed in range(8):
        whole = picture(seed)
        for saved in (again(whole, quality=60), again(whole, "WEBP", quality=60), again(whole, "HEIC")):
            with Image.open(BytesIO(saved)) as back:
                assert likeness(whole).difference(likeness(back)) <= ALIKE_BITS


def test_different_pictures_are_not_alike() -> None:
    found = [likeness(picture(seed)) for seed in range(40)]
    assert min(one.difference(other) for one, other in combinations(found, 2)) > 2 * ALIKE_BITS


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (640, 480), "white"),
        Image.linear_gradient("L"),
        Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90),
        Image.radial_gradient("L").point(lambda level: level // 90),
        Image.effect_noise((640, 480), 20),
        Image.new("L", (1, 1)),
    ],
    ids=["one colour", "gradient", "gradient across", "faint", "noise", "one pixel"],
)
def test_a_picture_with_nothing_in_it_is_like_none(image: Image.Image) -> None:
    assert Likeness.of(image) is None


@given(
    bits=st.integers(0, 2**64 - 1),
    flipped=st.sets(st.integers(0, 63), max_size=MOST_DIFFERING),
)
def test_whoever_is_near_is_found_by_a_band(bits: int, flipped: set[int]) -> None:
    one = Likeness.of_bits(bits, 0)
    other = Likeness.of_bits(bits ^ sum(1 << bit for bit in flipped), 0)
    assert one.difference(other) == len(flipped)
    for most in range(len(flipped), MOST_DIFFERING + 1):
        assert not set(one.probes(most)).isdisjoint(other.bands)


def test_few_bands_are_asked_for() -> None:
    assert [len(likeness(picture(1)).probes(most)) for most in (0, 3, 4, 7, 8, 11)] == [4, 4, 68, 68, 548, 548]


async def test_a_picture_that_another_case_showed_is_noted(scene: Scene) -> None:
    first = await scene.claimed(encoded(picture(1)), "case-1")
    await scene.claimed(encoded(picture(2)), "case-2")
    equal = await scene.claimed(encoded(picture(1)), "case-3")
    near = await scene.claimed(again(picture(1)), "case-4")
    assert first.seen_before == ()
    assert equal.seen_before == ("case-1",)
    assert near.seen_before == ("case-1", "case-3")
    assert near.deadline_at is None


async def test_only_claimed_photos_of_other_cases_are_noted(scene: Scene) -> None:
    await scene.files.put(encoded(picture(1)))
    await scene.claimed(encoded(picture(1)), "case-1")
    assert (await scene.claimed(again(picture(1)), "case-1")).seen_before == ()


async def test_pictures_with_nothing_in_them_are_noted_only_for_the_same_bytes(scene: Scene) -> None:
    wall = Image.new("RGB", (640, 480), "grey")
    await scene.claimed(encoded(wall), "case-1")
    assert (await scene.claimed(encoded(wall, quality=50), "case-2")).seen_before == ()
    assert (await scene.claimed(encoded(wall), "case-3")).seen_before == ("case-1",)


async def test_two_that_are_claimed_at_once_do_not_miss_each_other(scene: Scene) -> None:
    one, other = await scene.files.put(encoded(picture(1))), await scene.files.put(again(picture(1)))
    await asyncio.gather(scene.claim(one, "case-1"), scene.claim(other, "case-2"))
    noted = ((await scene.seen(one)).seen_before, (await scene.seen(other)).seen_before)
    assert noted in {((), ("case-1",)), (("case-2",), ()), (("case-2",), ("case-1",))}


async def test_a_picture_is_looked_up_even_if_the_process_that_claimed_it_dies(scene: Scene) -> None:
    await scene.claimed(encoded(picture(1)), "case-1")
    photo = await scene.files.put(again(picture(1)))
    await scene.elsewhere(photo, lambda kept, now: kept.claim("case-2", True, now))
    assert (await scene.seen(photo)).seen_before is None
    other = Scene(scene)
    await other.later(AGAIN_AFTER)
    noted = await other.seen(photo)
    assert (noted.seen_before, noted.deadline_at) == (("case-1",), None)


# --- blacked out --------------------------------------------------------------------------------------------

TOP_LEFT = Region(0, 0, 0.5, 0.5)
MIDDLE = Region(0.4, 0.4, 0.6, 0.6)


async def shades(scene: Scene, photo: Photo, size: Size) -> dict[str, object]:
    """Colours of a copy in the middle of its quarters and of itself."""
    image = Image.open(BytesIO(await scene.files.copy(photo, size)))
    places = {"top left": (0.25, 0.25), "top right": (0.75, 0.25), "bottom right": (0.75, 0.75), "middle": (0.5, 0.5)}
    pixels = {name: image.getpixel((int(x * image.width), int(y * image.height))) for name, (x, y) in places.items()}
    known = {"black": (0, 0, 0), "red": (230, 20, 20), "green": (20, 200, 20), "white": (255, 255, 255)}
    return {
        name: next((shade for shade, colour in known.items() if _near(pixel, colour)), pixel)
        for name, pixel in pixels.items()
    }


def _near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(int(a) - b) <= 12 for a, b in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "HEIC"])
async def test_regions_are_black_in_every_copy_and_nowhere_else(scene: Scene, kind: str) -> None:
    content = from_telephone(6, kind)
    before = await scene.claimed(content)
    photo = await scene.blacken(before, TOP_LEFT, MIDDLE)
    for size in Size:
        assert await shades(scene, photo, size) == {
            "top left": "black",
            "top right": "green",
            "bottom right": "white",
            "middle": "black",
        }
    assert await scene.files.original(photo) == content
    assert photo.content == before.content
    assert (photo.state, photo.spare, photo.deadline_at) == (PhotoState.READY, (), None)


async def test_a_region_hides_every_pixel_that_it_touches(scene: Scene) -> None:
    photo = await scene.blacken(await scene.claimed(encoded(corners(10, 10), "PNG")), Region(0.51, 0.51, 0.59, 0.52))
    image = Image.open(BytesIO(await scene.files.copy(photo, Size.LARGE))).convert("L")
    pixel = image.getpixel((5, 5))
    assert isinstance(pixel, int)
    assert pixel < 64


async def test_the_copies_before_are_gone(scene: Scene) -> None:
    before = await scene.claimed(encoded(corners()))
    after = await scene.blacken(before, MIDDLE)
    assert after.copies != before.copies
    assert len(scene.disk.files) == 3
    with pytest.raises(NotFound):
        await scene.files.copy(before, Size.LARGE)


async def test_regions_are_added_until_all_are_taken_away(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))
    await scene.blacken(photo, MIDDLE)
    both = await scene.blacken(photo, TOP_LEFT, MIDDLE)
    assert both.blackened == (MIDDLE, TOP_LEFT)
    assert (await shades(scene, both, Size.LARGE))["middle"] == "black"
    none = await scene.change(photo, Photo.uncover)
    assert none.blackened == ()
    assert colours_of(await scene.files.copy(none, Size.LARGE)) == UPRIGHT
    with pytest.raises(Refused, match="photo-not-blackened"):
        await scene.change(photo, Photo.uncover)


@pytest.mark.parametrize(
    ("regions", "field", "code"),
    [
        ([MIDDLE, Region(0.5, 0, 0.5, 1)], "regions.1", "photo-region-empty"),
        ([Region(0, 0.6, 1, 0.5)], "regions.0", "photo-region-empty"),
        ([Region(0.5, 0.5, 1.01, 1)], "regions.0", "photo-region-empty"),
        ([Region(-0.1, 0.5, 1, 1)], "regions.0", "photo-region-empty"),
        ([Region(0, 0, float("nan"), 1)], "regions.0", "photo-region-empty"),
        ([Region(0, 0, 1, (n + 1) / 100) for n in range(MOST_REGIONS)], "regions", "photo-too-many-regions"),
    ],
)
async def test_regions_that_are_none_change_nothing(scene: Scene, regions: list[Region], field: str, code: str) -> None:
    photo = await scene.blacken(await scene.claimed(encoded(corners())), TOP_LEFT)
    with pytest.raises(Invalid) as refusal:
        await scene.blacken(photo, *regions)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert await scene.seen(photo) == photo


async def test_a_photo_that_nobody_claimed_is_left_alone(scene: Scene) -> None:
    photo = await scene.files.put(encoded(corners()))
    changes: list[Callable[[Photo, datetime], None]] = [
        lambda kept, now: kept.blacken([MIDDLE], now),
        Photo.uncover,
        lambda kept, now: kept.hide(),
        lambda kept, now: kept.unhide(),
    ]
    for change in changes:
        with pytest.raises(Refused, match="photo-unclaimed"):
            await scene.change(photo, change)


async def test_a_photo_has_no_copies_until_it_is_redrawn_even_if_the_process_dies(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))
    await scene.elsewhere(photo, lambda kept, now: kept.blacken([MIDDLE], now))
    found = await scene.seen(photo)
    assert (found.in_sight, found.copies, found.kept) == (False, None, True)
    with pytest.raises(NotFound):
        await scene.files.copy(found, Size.LARGE)
    other = Scene(scene)
    await other.later(AGAIN_AFTER)
    redrawn = await other.seen(photo)
    assert redrawn.in_sight
    assert (await shades(other, redrawn, Size.LARGE))["middle"] == "black"
    assert len(other.disk.files) == 3


@pytest.mark.parametrize("more", [0, 1])
async def test_redrawing_that_breaks_off_is_done_again(scene: Scene, more: int) -> None:
    photo = await scene.claimed(encoded(corners()))
    scene.disk.room = 3 + more
    broken = await scene.blacken(photo, MIDDLE)
    assert (broken.in_sight, broken.copies) == (False, None)
    scene.disk.room = None
    await scene.later(AGAIN_AFTER)
    redrawn = await scene.seen(photo)
    assert (await shades(scene, redrawn, Size.THUMB))["middle"] == "black"
    assert (redrawn.spare, redrawn.deadline_at, len(scene.disk.files)) == ((), None, 3)


async def test_old_copies_that_cannot_be_discarded_now_are_discarded_later(scene: Scene) -> None:
    before = await scene.claimed(encoded(corners()))
    scene.disk.reachable = False
    after = await scene.blacken(before, MIDDLE)
    assert (after.in_sight, after.spare) == (True, (before.copies,))
    scene.disk.reachable = True
    await scene.later(AGAIN_AFTER)
    assert ((await scene.seen(before)).spare, len(scene.disk.files)) == ((), 3)


async def test_what_is_blackened_while_the_photo_is_redrawn_is_black(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))

    async def more() -> None:
        await scene.elsewhere(photo, lambda kept, now: kept.blacken([TOP_LEFT], now))

    async def once_announced() -> None:
        scene.store.meanwhile = more

    async def once_decided() -> None:
        scene.store.meanwhile = once_announced

    scene.store.meanwhile = once_decided
    redrawn = await scene.blacken(photo, MIDDLE)
    assert redrawn.blackened == (MIDDLE, TOP_LEFT)
    seen = await shades(scene, redrawn, Size.LARGE)
    assert (seen["top left"], seen["middle"]) == ("black", "black")
    assert (redrawn.spare, len(scene.disk.files)) == ((), 3)
    assert scene.disk.uploads == 3 + 2 + 2, "drawn once for each decision"


async def test_an_equal_photo_keeps_its_own_copies(scene: Scene) -> None:
    one, other = await scene.claimed(encoded(corners()), "case-1"), await scene.claimed(encoded(corners()), "case-2")
    await scene.blacken(one, MIDDLE)
    assert colours_of(await scene.files.copy(other, Size.LARGE)) == UPRIGHT
    assert len(scene.disk.files) == 5
    await scene.blacken(other, MIDDLE)
    assert len(scene.disk.files) == 5


async def test_a_photo_handed_in_again_has_nothing_of_the_regions(scene: Scene) -> None:
    await scene.blacken(await scene.claimed(encoded(corners())), TOP_LEFT)
    fresh = await scene.files.put(encoded(corners()))
    assert (fresh.blackened, fresh.hidden, fresh.decisions) == ((), False, 0)
    assert colours_of(await scene.files.copy(fresh, Size.LARGE)) == UPRIGHT


async def test_a_photo_redrawn_while_it_is_shared_takes_no_copies_away(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))

    async def redraw() -> None:
        await scene.blacken(photo, TOP_LEFT)

    scene.store.meanwhile = redraw
    fresh = await scene.files.put(encoded(corners()))
    assert colours_of(await scene.files.copy(fresh, Size.LARGE)) == UPRIGHT
    assert (await shades(scene, await scene.seen(photo), Size.LARGE))["top left"] == "black"


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
    assert shared[0].original == first.original
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


# --- nothing but copies is left of a photo that was forgotten -----------------------------------------------


def bare(photo: Photo, now: datetime) -> None:
    photo.bare(now)


async def test_a_bare_photo_has_lost_its_original_and_its_notes_and_is_seen_as_before(scene: Scene) -> None:
    photo = await scene.claimed(from_telephone())
    assert photo.content.hint is not None
    left = await scene.change(photo, bare)
    assert (left.state, left.content.hint, left.original, left.deadline_at) == (PhotoState.BARE, None, "", None)
    assert (left.in_sight, left.known, left.kept) == (True, True, False)
    assert colours_of(await scene.files.copy(left, Size.LARGE)) == UPRIGHT
    assert len(scene.disk.files) == 2
    with pytest.raises(NotFound):
        await scene.files.original(photo)


async def test_an_original_goes_even_if_the_process_dies_before_it_is_gone(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))
    await scene.elsewhere(photo, bare)
    assert len(scene.disk.files) == 3
    await scene.later(AGAIN_AFTER)
    assert (len(scene.disk.files), (await scene.seen(photo)).original) == (2, "")


async def test_an_original_that_cannot_be_discarded_now_is_discarded_later(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))
    scene.disk.reachable = False
    await scene.change(photo, bare)
    scene.disk.reachable = True
    await scene.later(AGAIN_AFTER)
    assert (len(scene.disk.files), (await scene.seen(photo)).original) == (2, "")


async def test_an_original_stays_as_long_as_somebody_else_needs_it(scene: Scene) -> None:
    one, other = await scene.claimed(encoded(corners()), "case-1"), await scene.claimed(encoded(corners()), "case-2")
    await scene.change(one, bare)
    assert await scene.files.original(other) == encoded(corners())
    await scene.change(other, bare)
    assert len(scene.disk.files) == 2


async def test_a_bare_photo_is_not_shared(scene: Scene) -> None:
    await scene.change(await scene.claimed(encoded(corners())), bare)
    fresh = await scene.files.put(encoded(corners()))
    assert await scene.files.original(fresh) == encoded(corners())


async def test_a_bare_photo_can_be_hidden_but_no_longer_blackened(scene: Scene) -> None:
    photo = await scene.change(await scene.claimed(encoded(corners())), bare)
    with pytest.raises(Refused) as refusal:
        await scene.blacken(photo, MIDDLE)
    assert refusal.value.code == "photo-without-original"
    hidden = await scene.change(photo, lambda kept, now: kept.hide())
    assert not hidden.in_sight


async def test_a_photo_that_is_being_redrawn_keeps_its_original(scene: Scene) -> None:
    photo = await scene.claimed(encoded(corners()))
    await scene.elsewhere(photo, lambda kept, now: kept.blacken([MIDDLE], now))
    await scene.elsewhere(photo, bare)
    assert (await scene.seen(photo)).state is PhotoState.REDRAWING
