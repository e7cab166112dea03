"""Reads back what our own PDF files say: their text by the map that a reader copies and searches by, and pictures.

It knows the subset of PDF that fpdf2 writes, and no other.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from fontTools.cffLib import CFFFontSet  # type: ignore[import-untyped]
from PIL import Image

_OBJECT = re.compile(rb"(?m)^(\d+) 0 obj\n(.*?)(?:stream\n(.*?)\nendstream\n)?endobj", re.DOTALL)
_SHOWN = re.compile(rb"/(F\d+) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\) Tj", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


@dataclass(frozen=True)
class PdfFont:
    """An embedded font: its name, the character and the glyph that each code stands for."""

    name: str
    characters: dict[int, str]
    glyphs: dict[int, str]


class Pdf:
    """A file of fpdf2's, taken apart."""

    def __init__(self, content: bytes) -> None:
        assert content.startswith(b"%PDF-1.")
        found = _OBJECT.findall(content)
        self._heads = {int(number): head for number, head, _ in found}
        self._streams = {int(number): _inflated(head, stream) for number, head, stream in found}
        self.fonts = {key: self._font(number) for key, number in self._named(rb"/(F\d+) (\d+) 0 R")}

    @property
    def pages(self) -> list[list[str]]:
        """The lines of each page, in the order in which they were drawn."""
        numbers = [int(number) for head in self._heads.values() for number in re.findall(rb"/Contents (\d+)", head)]
        return [list(self._lines(self._streams[number])) for number in numbers]

    @property
    def text(self) -> str:
        """All of it, without line ends."""
        return "".join(line for page in self.pages for line in page)

    @property
    def images(self) -> list[Image.Image]:
        """Grey pictures."""
        numbers = [number for number, head in self._heads.items() if b"/Subtype /Image" in head]
        return [self._image(number) for number in numbers]

    def field(self, key: str) -> str:
        """An entry of what the file says of itself."""
        [value] = [
            found[1] for head in self._heads.values() if (found := re.search(rb"/%s <(\w+)>" % key.encode(), head))
        ]
        return bytes.fromhex(value.decode()).decode("utf-16")

    def _named(self, pattern: bytes) -> set[tuple[str, int]]:
        return {(key.decode(), int(to)) for head in self._heads.values() for key, to in re.findall(pattern, head)}

    def _to(self, number: int, key: str) -> int:
        found = re.search(rb"/%s \[?(\d+) 0 R" % key.encode(), self._heads[number])
        assert found is not None, f"{key} of object {number}"
        return int(found[1])

    def _font(self, number: int) -> PdfFont:
        [name] = re.findall(rb"/BaseFont /(\S+)", self._heads[number])
        descendant = self._to(number, "DescendantFonts")
        file = self._to(self._to(descendant, "FontDescriptor"), "FontFile3")
        font = CFFFontSet()
        font.decompile(BytesIO(self._streams[file]), None)
        outlines = set(font[0].CharStrings.keys())
        characters = _map(self._streams[self._to(number, "ToUnicode")], r"<(\w+)> <(\w+)>")
        glyphs = _map(self._streams[self._to(number, "Encoding")], r"<(\w+)> (\d+)")
        return PdfFont(
            name=name.decode(),
            characters={code: _utf16(each) for code, each in characters.items()},
            glyphs={code: name for code, cid in glyphs.items() if (name := f"cid{cid:0>5}") in outlines},
        )

    def _lines(self, content: bytes) -> Iterator[str]:
        font = None
        for key, shown in _SHOWN.findall(content):
            if key:
                font = self.fonts[key.decode()]
                continue
            assert font is not None
            codes = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), shown)
            yield "".join(_drawn(font, codes[at : at + 2]) for at in range(0, len(codes), 2))

    def _image(self, number: int) -> Image.Image:
        head, raw = self._heads[number], self._streams[number]
        width, height = (int(re.findall(rb"/%s (\d+)" % key, head)[-1]) for key in (b"Width", b"Height"))
        rows = [raw[row * (width + 1) : (row + 1) * (width + 1)] for row in range(height)]
        assert all(row[0] == 0 for row in rows), "rows are stored as they are"
        return Image.frombytes("L", (width, height), b"".join(row[1:] for row in rows))


def _drawn(font: PdfFont, code: bytes) -> str:
    """The character, which must have a glyph to be seen by."""
    number = int.from_bytes(code, "big")
    character = font.characters[number]
    assert number in font.glyphs, f"no glyph for {character}"
    return character


def _inflated(head: bytes, stream: bytes) -> bytes:
    return zlib.decompress(stream) if b"/FlateDecode" in head else stream


def _utf16(content: str) -> str:
    return bytes.fromhex(content).decode("utf-16-be")


def _map(cmap: bytes, pattern: str) -> dict[int, str]:
    return {int(code, 16): each for code, each in re.findall(pattern, cmap.decode())}
