"""Photos as telephones, scanners and attackers send them."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO

from PIL import ExifTags, Image, ImageCms, ImageDraw
from pillow_heif import register_heif_opener

from shared.files import Kind

register_heif_opener()

RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 230), (255, 255, 255)
CORNERS = (RED, GREEN, BLUE, WHITE)
"""Colours of an upright photo: top left, top right, bottom left, bottom right."""
GPS_PLACE = (26.0, 53.0, 24.0)
TAKEN = "2026:03:01 16:20:30"


def corners(width: int = 640, height: int = 480) -> Image.Image:
    """An upright picture with a colour in each quarter."""
    image = Image.new("RGB", (width, height))
    for place, colour in enumerate(CORNERS):
        left, top = (place % 2) * width // 2, (place // 2) * height // 2
        image.paste(colour, (left, top, left + (width + 1) // 2, top + (height + 1) // 2))
    return image


def colours_of(content: bytes) -> list[str]:
    """The corners of a decoded picture, each by the name of the nearest colour."""
    image = Image.open(BytesIO(content)).convert("RGB")
    width, height = image.size
    names = dict(zip(CORNERS, ("red", "green", "blue", "white"), strict=True))
    places = [(width // 4, height // 4), (3 * width // 4, height // 4)]
    places += [(x, 3 * height // 4) for x, _ in places]
    return [names[min(CORNERS, key=lambda known: _distance(image.getpixel(place), known))] for place in places]


def _distance(one: object, other: tuple[int, int, int]) -> int:
    assert isinstance(one, tuple)
    return sum(abs(int(a) - b) for a, b in zip(one, other, strict=True))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as a file."""
    written = BytesIO()
    image.save(written, Kind.HEIC.decoder if kind == "HEIC" else kind, **options)
    return written.getvalue()


def from_telephone(orientation: int = 6, kind: str = "JPEG") -> bytes:
    """A photo as the sensor sees it, with the notes that hold it upright and tell where it was taken."""
    lying = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}
    sensor = corners()
    if orientation in lying:
        sensor = sensor.transpose(lying[orientation])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Telephone-Maker"
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: GPS_PLACE, 3: "E", 4: (112.0, 36.0, 4.0)}
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: TAKEN}
    notes = {"exif": exif.tobytes(), "xmp": b"<x:xmpmeta>secret-of-xmp</x:xmpmeta>", "comment": b"secret-comment"}
    return encoded(sensor, kind, **notes)


@lru_cache(maxsize=1)
def swapping_profile() -> bytes:
    """A colour profile in which red means blue and blue means red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand: `rows` are unfiltered bytes, each row begun with 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def webp_of_canvas(width: int, height: int) -> bytes:
    """A WebP that declares a canvas of this size for a picture of one pixel."""
    tiny = encoded(Image.new("RGB", (1, 1)), "WEBP")[12:]
    canvas = b"\x10\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", len(canvas)) + canvas + tiny
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_of_scans(more: int, before: bytes = b"", edge: int = 64) -> bytes:
    """A progressive JPEG whose last scan is there `more` times more, after the bytes `before`."""
    whole = encoded(corners(edge, edge), progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + before + last * more + whole[-2:]


def picture(seed: int, width: int = 640, height: int = 480) -> Image.Image:
    """A picture with something in it, another one for each seed."""
    random.seed(seed)
    image = Image.new("RGB", (width, height), _colour())
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        left, right = sorted(random.choices(range(width), k=2))
        top, bottom = sorted(random.choices(range(height), k=2))
        draw.ellipse((left, top, right, bottom), fill=_colour())
    return image


def _colour() -> tuple[int, int, int]:
    red, green, blue = random.choices(range(256), k=3)
    return red, green, blue


def sized(content: bytes, width: int, height: int) -> bytes:
    """A HEIC file that declares another size for whatever is in it."""
    return re.sub(rb"ispe\0{4}.{8}", b"ispe" + struct.pack(">III", 0, width, height), content, flags=re.DOTALL)


def heic(
    sizes: Mapping[int, tuple[int, int]],
    drawn_from: Mapping[int, Sequence[int]] | None = None,
    planes: Mapping[int, Sequence[int]] | None = None,
    lengths: Sequence[int] = (),
    wide: bool = False,
) -> bytes:
    """The boxes of a HEIC file around no pixels at all; item 1 is what it shows. `wide` as very long files have it."""
    number, version = (">I", 1) if wide else (">H", 0)
    references = [
        _box(name, struct.pack(f"{number}H{len(to)}{number[1]}", item, len(to), *to))
        for name, several in ((b"dimg", drawn_from), (b"auxl", planes))
        for item, to in (several or {}).items()
    ]
    associations = [struct.pack(f"{number}BB", item, 1, place) for place, item in enumerate(sizes, start=1)]
    shown = [_box(b"ispe", struct.pack(">III", 0, *size)) for size in sizes.values()]
    items = [struct.pack(">HHHII", item, 0, 1, 0, length) for item, length in enumerate(lengths, start=1)]
    description = (
        _box(b"pitm", struct.pack(f">B3x{number[1]}", version, 1))
        + _box(b"iloc", struct.pack(">IHH", 0, 0x4400, len(items)) + b"".join(items))
        + _box(b"iprp", _box(b"ipco", b"".join(shown)) + _associated(version, associations))
        + _box(b"iref", struct.pack(">B3x", version) + b"".join(references))
    )
    whole = _box(b"ftyp", b"heic\0\0\0\0mif1heic") + _box(b"meta", b"\0\0\0\0" + description)
    return whole + _box(b"mdat", b"\0" * 100)


def _associated(version: int, associations: Sequence[bytes]) -> bytes:
    return _box(b"ipma", struct.pack(">B3xI", version, len(associations)) + b"".join(associations))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def markers_of(content: bytes) -> list[int]:
    """The markers of a JPEG up to its first scan."""
    found, at = [], 2
    while True:
        marker = content[at + 1]
        found.append(marker)
        if marker == 0xDA:
            return found
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "photo-empty"),
    "text": (b"not a photo at all", "photo-kind-unsupported"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "photo-kind-unsupported"),
    "page before a photo": (b"<html><script>" + encoded(corners()), "photo-kind-unsupported"),
    "form": (b"--x\r\nContent-Disposition: form-data\r\n\r\n" + encoded(corners()), "photo-kind-unsupported"),
    "gif": (encoded(corners(), "GIF"), "photo-kind-unsupported"),
    "tiff": (encoded(corners(), "TIFF"), "photo-kind-unsupported"),
    "avif": (encoded(corners(), "AVIF"), "photo-kind-unsupported"),
    "video": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 100, "photo-kind-unsupported"),
    "heic begun": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo-broken"),
    "heic cut": (encoded(corners(), "HEIC")[:600], "photo-broken"),
    "heic without pixels": (heic({1: (64, 64)}), "photo-broken"),
    "heic larger than it says": (sized(encoded(corners(), "HEIC"), 64, 64), "photo-broken"),
    "heic smaller than it says": (sized(encoded(corners(), "HEIC"), 6400, 4800), "photo-broken"),
    "heic drawn from itself": (heic({1: (64, 64)}, {1: [1]}), "photo-broken"),
    "jpeg begun": (b"\xff\xd8\xff", "photo-broken"),
    "jpeg cut": (encoded(corners())[:2000], "photo-broken"),
    "png cut": (encoded(corners(), "PNG")[:200], "photo-broken"),
    "webp cut": (encoded(corners(), "WEBP")[:300], "photo-broken"),
    "png of noise": (b"\x89PNG\r\n\x1a\n" + b"\x07" * 500, "photo-broken"),
    "png without pixels": (png(0, 0, 8, 2, b""), "photo-broken"),
    "jpeg of 1 000 scans": (jpeg_of_scans(1000), "photo-broken"),
    "jpeg that hides its scans": (jpeg_of_scans(1000, before=b"\xff\x01\xff\xff"), "photo-broken"),
    "png bomb": (png(60_000, 60_000, 8, 2, b"\0"), "photo-too-many-pixels"),
    "png a bit large": (png(5_001, 5_000, 8, 2, b"\0"), "photo-too-many-pixels"),
    "heic bomb": (sized(encoded(corners(), "HEIC"), 30_000, 30_000), "photo-too-many-pixels"),
    "heic of one tile 4 000 times": (
        heic({1: (64, 64), 2: (512, 512)}, {1: [2] * 4000}, wide=True),
        "photo-too-many-pixels",
    ),
    "clear heic a bit large": (
        sized(encoded(corners().convert("RGBA"), "HEIC"), 5_001, 5_000),
        "photo-too-many-pixels",
    ),
    "webp bomb": (webp_of_canvas(16_384, 16_384), "photo-too-many-pixels"),
    "jpeg bomb": (
        encoded(Image.new("L", (8, 8))).replace(b"\x08\x00\x08\x00\x08\x01", b"\x08\xff\xdc\xff\xdc\x01"),
        "photo-too-many-pixels",
    ),
}
"""What is not accepted, and why."""
