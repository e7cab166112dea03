"""What is read from a photo's bytes: its kind, what it shows, what its camera noted, and the copies that tell nothing.

Copies are drawn anew from the pixels: no EXIF, GPS, XMP, colour profile, comment or embedded thumbnail survives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFile

from shared.clock import CHINA
from shared.errors import DomainError, Invalid, Unsupported
from shared.geo import Point
from shared.pictures import heic
from shared.pictures.likeness import Likeness

try:
    import pillow_heif
except ImportError:  # an extra: its wheel has parts under the GPL (docs/dependencies.md)
    pillow_heif = None  # type: ignore[assignment]  # what mypy sees is installed

MOST_SCANS = 64
"""Passes over one JPEG (progressive ones have about 10): many tiny ones keep a processor busy for an hour."""
MOST_SCANNED = 400_000_000
"""Pixels of all passes together: ten over the 40 million of a large progressive photo, fewer over a larger one."""
QUALITY = 82


class Kind(StrEnum):
    """What kinds of photos are accepted. Of a moving picture, copies show the first frame."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    HEIC = "heic"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def decoder(self) -> str:
        """Pillow's name for the kind."""
        return "HEIF" if self is Kind.HEIC else self.name

    @property
    def most_pixels(self) -> int:
        """Pixels beyond which a photo is refused unread; what a process may spend on one is about 0.6 GB.

        JPEG can be decoded at a fraction of its size. HEIC takes 7 bytes for a pixel of the usual three channels
        of 8 bits; telephones make 48 million of them, in tiles of 512 × 512.
        """
        return {Kind.JPEG: 65_000_000, Kind.HEIC: 51_000_000}.get(self, RICH_PIXELS)


RICH_PIXELS = 25_000_000
"""The same for photos that take up to 20 bytes a pixel: PNG, WebP, and HEIC with transparency or more than 8 bits."""


class Size(StrEnum):
    """The copies of a photo; each fits into a square and is never larger than the original."""

    THUMB = "thumb"
    LARGE = "large"

    @property
    def edge(self) -> int:
        """Pixels of the square's edge."""
        return 320 if self is Size.THUMB else 1600


@dataclass(frozen=True)
class Region:
    """A rectangle of the upright picture: fractions (0 to 1) of its width from the left, of its height from above."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Hint:
    """What the camera noted, true or not: where (WGS-84, unless it meant another datum) and when (UTC).

    A moment without its offset is taken as Asia/Shanghai.
    """

    place: Point | None
    taken_at: datetime | None


@dataclass(frozen=True)
class Picture:
    """A photo that was read; `width` and `height` are pixels of the original, held upright."""

    kind: Kind
    width: int
    height: int
    likeness: Likeness | None
    hint: Hint | None
    copies: dict[Size, bytes]

    @classmethod
    def read(cls, content: bytes, blackened: Sequence[Region] = ()) -> Picture:
        """Its copies are black in the regions.

        Raises Unsupported (`photo-kind-unsupported`), Invalid (`photo-broken`, `photo-too-many-pixels`), and
        MemoryError.
        """
        kind = _kind(content)
        try:
            scans = _refuse_hostile(kind, content)
            with Image.open(BytesIO(content), formats=[kind.decoder]) as image:
                return cls._of(kind, image, scans, blackened)
        except Image.DecompressionBombError:
            raise _too_many(kind.most_pixels) from None
        except (DomainError, MemoryError):
            raise
        except Exception as error:  # decoders answer hostile bytes with whatever fails first; all means one thing
            raise Invalid("photo-broken") from error

    def packed(self) -> tuple[dict[str, Any], list[bytes]]:
        """As a header that JSON can hold, and the copies in the order that it names."""
        header: dict[str, Any] = {
            "kind": self.kind,
            "width": self.width,
            "height": self.height,
            "likeness": asdict(self.likeness) if self.likeness else None,
            "place": (self.hint.place.longitude, self.hint.place.latitude) if self.hint and self.hint.place else None,
            "taken_at": self.hint.taken_at.isoformat() if self.hint and self.hint.taken_at else None,
            "copies": {size: len(copy) for size, copy in self.copies.items()},
        }
        return header, list(self.copies.values())

    @classmethod
    def unpacked(cls, header: Mapping[str, Any], read: Callable[[int], bytes]) -> Picture:
        """What was packed; `read` gives the next bytes. Raises ValueError, KeyError and TypeError for anything else."""
        place = Point(*map(float, header["place"])) if header["place"] else None
        taken_at = datetime.fromisoformat(header["taken_at"]) if header["taken_at"] else None
        likeness = header["likeness"]
        copies = {Size(size): read(int(length)) for size, length in header["copies"].items()}
        if set(copies) != set(Size) or any(not copy.startswith(_JPEG_START) for copy in copies.values()):
            raise ValueError("copies are missing")
        return cls(
            Kind(header["kind"]),
            int(header["width"]),
            int(header["height"]),
            Likeness.of_bits(int(likeness["across"], 16), int(likeness["down"], 16)) if likeness else None,
            Hint(place, taken_at) if place or taken_at else None,
            copies,
        )

    @classmethod
    def _of(cls, kind: Kind, image: ImageFile.ImageFile, scans: int, blackened: Sequence[Region]) -> Picture:
        width, height = image.size
        if width * height > (limit := _most_pixels(kind, image)):
            raise _too_many(limit)
        if width * height * scans > MOST_SCANNED:
            raise Invalid("photo-broken")
        orientation, hint = _orientation(image), _hint(image)
        sheet = _drawn_anew(image, orientation)
        likeness = Likeness.of(sheet)
        _blacken(sheet, blackened)
        copies = {Size.LARGE: _jpeg(sheet)}
        sheet.thumbnail((Size.THUMB.edge, Size.THUMB.edge))
        copies[Size.THUMB] = _jpeg(sheet)
        if orientation in _LYING:
            width, height = height, width
        return cls(kind, width, height, likeness, hint, copies)


_JPEG_START = b"\xff\xd8\xff"
# A marker that is neither a stuffed byte nor a restart within a scan (ITU-T T.81, B.1.1). Of the fill bytes before it
# only the last is asked for: a search for all of them would begin anew at each.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_SCAN, _END, _BARE = 0xDA, 0xD9, frozenset({0x01, 0xD8})
# Brands of files whose pictures are coded with HEVC (ISO/IEC 23008-12, annex B).
_HEVC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What holds a photo upright, by its EXIF orientation. HEIC has its own way to say it, which its decoder follows."""
_LYING = frozenset({5, 6, 7, 8})


def _kind(content: bytes) -> Kind:
    if content.startswith(_JPEG_START):
        return Kind.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return Kind.WEBP
    if pillow_heif and content[4:8] == b"ftyp" and not _HEVC.isdisjoint(_brands(content)):
        return Kind.HEIC
    kinds = [kind.name for kind in Kind if kind is not Kind.HEIC or pillow_heif]
    raise Unsupported("photo-kind-unsupported", kinds=", ".join(kinds))


def _brands(content: bytes) -> list[bytes]:
    """What a file says that it is, and what else it may be read as."""
    end = min(int.from_bytes(content[:4], "big"), 256)
    return [content[8:12], *(content[at : at + 4] for at in range(16, end, 4))]


def warm_up() -> None:
    """Whatever is read from files when it is first needed is read now."""
    Image.init()
    if pillow_heif:
        # Planes of depth and embedded thumbnails are not what the photo shows; one thread decodes, as everywhere.
        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    for kind in ("JPEG", "PNG", "WEBP"):
        written = BytesIO()
        Image.new("RGB", (16, 16)).save(written, kind)
        Picture.read(written.getvalue())
    _moment({ExifTags.Base.DateTimeOriginal: "2026:01:01 00:00:00"})
    ImageCms.createProfile("sRGB")


def _refuse_hostile(kind: Kind, content: bytes) -> int:
    """How many passes a JPEG takes, of other kinds one.

    Raises Invalid, or ValueError, for what would cost far more to decode than its size tells.
    """
    if kind is Kind.HEIC and heic.pixels_of(content) > kind.most_pixels:
        raise _too_many(kind.most_pixels)
    if kind is Kind.WEBP and _webp_pixels(content) > kind.most_pixels:
        raise _too_many(kind.most_pixels)
    scans = _scans(content) if kind is Kind.JPEG else 1
    if scans > MOST_SCANS:
        raise Invalid("photo-broken")
    return scans


def _webp_pixels(content: bytes) -> int:
    """Pixels of the sheet that its decoder takes memory for before it tells how large it is."""
    if content[12:16] == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif content[12:16] == b"VP8L":
        sides = int.from_bytes(content[21:25], "little")
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return width * height


def _scans(content: bytes) -> int:
    """The passes over a JPEG, counted up to one too many. What follows its end does not count."""
    at, scans = 2, 0
    while (found := _MARKER.search(content, at)) and found[1][0] != _END:
        at = found.end()
        if found[1][0] not in _BARE:
            at += int.from_bytes(content[at : at + 2], "big")
        scans += found[1][0] == _SCAN
        if scans > MOST_SCANS:
            break
    return scans


def _most_pixels(kind: Kind, image: Image.Image) -> int:
    if kind is Kind.HEIC and (image.mode != "RGB" or image.info["bit_depth"] != 8):
        return RICH_PIXELS
    return kind.most_pixels


def _too_many(limit: int) -> Invalid:
    return Invalid("photo-too-many-pixels", limit=limit)


def _orientation(image: Image.Image) -> object:
    """The EXIF orientation: 1 to 8 where it makes sense."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # unreadable notes do not make the pixels unreadable
        return None


def _hint(image: Image.Image) -> Hint | None:
    try:
        exif = image.getexif()
        place = _place(exif.get_ifd(ExifTags.IFD.GPSInfo))
        taken_at = _moment(exif.get_ifd(ExifTags.IFD.Exif))
    except Exception:  # as above: whatever a stranger's notes fail with, there is no hint
        return None
    return Hint(place, taken_at) if place or taken_at else None


def _place(gps: dict[int, object]) -> Point | None:
    """The spot; none where the camera wrote 0° 0°, as some do while they do not know."""
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S")
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W")
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None
    try:
        return Point(round(longitude, 6), round(latitude, 6))
    except Invalid:
        return None


def _degrees(parts: object, side: object, negative: str) -> float | None:
    if not (isinstance(parts, tuple) and len(parts) == 3):
        return None
    degrees, minutes, seconds = map(float, parts)
    return (degrees + minutes / 60 + seconds / 3600) * (-1 if str(side).startswith(negative) else 1)


def _moment(notes: dict[int, object]) -> datetime | None:
    found, offset = notes.get(ExifTags.Base.DateTimeOriginal), notes.get(ExifTags.Base.OffsetTimeOriginal)
    try:
        local = datetime.strptime(f"{found} {offset}", "%Y:%m:%d %H:%M:%S %z")
    except ValueError:
        try:
            local = datetime.strptime(str(found), "%Y:%m:%d %H:%M:%S").replace(tzinfo=CHINA)
        except ValueError:
            return None
    return local.astimezone(UTC)


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
            pass  # a profile that does not fit is left out
        else:
            assert converted is not None, "only a conversion in place returns nothing"  # noqa: S101
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _blacken(sheet: Image.Image, regions: Sequence[Region]) -> None:
    """Every pixel that a region touches is black."""
    width, height = sheet.size
    draw = ImageDraw.Draw(sheet)
    for region in regions:
        left, top = math.floor(region.left * width), math.floor(region.top * height)
        right, bottom = math.ceil(region.right * width), math.ceil(region.bottom * height)
        draw.rectangle((left, top, right - 1, bottom - 1), fill="black")


def _jpeg(image: Image.Image) -> bytes:
    written = BytesIO()
    image.save(written, "JPEG", quality=QUALITY, optimize=True)
    return written.getvalue()
