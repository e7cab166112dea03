"""A paper as PDF: every glyph it needs inside, as a subset of the font."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import pylopdf_fonts_zh_cn
from fpdf import FPDF
from fpdf.enums import TextMode
from fpdf.fonts import TTFFont
from PIL import Image

from shared.clock import CHINA
from shared.documents.code import qr_png
from shared.documents.lines import wrap
from shared.documents.paper import MISSING, Link, Paper, Row, plain

MM = 72 / 25.4
WIDTH = 210 * MM
LEFT, TOP, BOTTOM = 28 * MM, 37 * MM, (37 + 225) * MM
"""The type area of GB/T 9704-2012: 156 mm by 225 mm."""
MEASURE = 156 * MM
RIGHT = LEFT + MEASURE
LABEL = 34 * MM
CODE = 30 * MM
PADDING = 3.5
RED = (200, 16, 16)
LOOSEST = 0.25
"""The most that a line is spread, in widths of a character, to end where the others end."""
BOLDER = 0.028
"""Width of the outline, in heights of a character, that makes up for the bold face which the fonts lack."""
CAPITALS = 0.76
"""Where the middle of a character lies above the base line, doubled, in heights of a character."""
SELECTORS = (("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"))
"""Variation selectors: which shape of the character before them is meant."""

# It tells of every table that it leaves out of every font.
logging.getLogger("fontTools").setLevel(logging.WARNING)


@dataclass(frozen=True)
class _Type:
    """A way to set text: the font, its size and the distance of the lines, in points."""

    font: str
    size: float
    leading: float
    bold: bool = False


TITLE = _Type("serif", 22, 34, bold=True)
NUMBER = _Type("serif", 14, 26)
BODY = _Type("serif", 15.75, 26)
"""三号: 28 characters fill the line."""
LABELS = _Type("sans", 12, 18)
VALUES = _Type("serif", 12, 18)
SMALL = _Type("serif", 10.5, 17)
PAGE = _Type("serif", 14, 20)


def to_pdf(paper: Paper) -> bytes:
    """The paper as PDF 1.4 or newer. What the fonts have no glyph for is shown as `□`."""
    sheet = _Sheet()
    paper = paper.written(sheet.shown)
    sheet.describe(paper)
    sheet.centred(paper.title, TITLE)
    sheet.centred(paper.number, NUMBER)
    sheet.rule()
    if paper.addressee:
        sheet.paragraph(f"{paper.addressee}：")
    for text in paper.opening:
        sheet.paragraph(_indented(text))
    sheet.table(paper.rows)
    *others, last = paper.closing or ("",)
    for text in others:
        sheet.paragraph(_indented(text))
    sheet.ending(last, paper)
    return sheet.finished()


class _Pages(FPDF):
    """Pages with their number at the foot."""

    def footer(self) -> None:
        number = f"— {self.page_no()} —"
        self.set_font(PAGE.font, size=PAGE.size)
        self.text((WIDTH - self.get_string_width(number)) / 2, BOTTOM + 7 * MM + PAGE.size, number)


class _Sheet:
    """Where the pen is on which page; lines go down the type area and on over the next pages."""

    def __init__(self) -> None:
        self._pdf = _Pages(unit="pt", format="A4")
        self._pdf.set_auto_page_break(False)
        self._pdf.set_image_filter("FlateDecode")
        self._pdf.set_line_width(0.75)
        self._pdf.add_font("serif", fname=pylopdf_fonts_zh_cn.serif_path())
        self._pdf.add_font("sans", fname=pylopdf_fonts_zh_cn.sans_path())
        self._glyphs = self._drawable()
        self._pdf.add_page()
        self._y = TOP

    def shown(self, text: str) -> str:
        """The text as the fonts can show it; characters that have no shape of their own are left out."""
        return "".join(self._drawn(character) for character in plain(text) if not _is_shapeless(character))

    def describe(self, paper: Paper) -> None:
        """What a file says of itself, the paper's own date included."""
        self._pdf.set_title(f"{paper.title}{paper.number}")
        self._pdf.set_author(paper.issuer)
        self._pdf.set_lang("zh-CN")
        self._pdf.set_creation_date(paper.date.astimezone(CHINA))

    def centred(self, text: str, type: _Type) -> None:
        for line in self._lines(text, MEASURE, type):
            self._room(type.leading)
            self._write(line, LEFT + (MEASURE - self._width(line, type)) / 2, self._y, type)
            self._y += type.leading

    def rule(self) -> None:
        """The red line below the head of a paper (版头分隔线)."""
        self._y += 4
        with self._pdf.local_context(draw_color=RED, line_width=1.2):
            self._pdf.line(LEFT, self._y, RIGHT, self._y)
        self._y += 8

    def paragraph(self, text: str, type: _Type = BODY) -> None:
        lines = list(self._justified(text, type))
        self._room(min(2, len(lines)) * type.leading)
        for line, spread in lines:
            self._room(type.leading)
            self._write(line, LEFT, self._y, type, spread)
            self._y += type.leading

    def table(self, rows: Sequence[Row]) -> None:
        self._y += PADDING
        for row in rows:
            self._row(row)
        self._y += PADDING

    def ending(self, last: str, paper: Paper) -> None:
        """The last paragraph, issuer and date, the code and the notes: never parted, unless too long for a page."""
        notes = "\n　　".join(paper.notes)
        signature = [*self._lines(paper.signature, MEASURE - CODE - 4 * BODY.size, BODY), paper.day]
        height = max(CODE + SMALL.leading + 2 * PADDING, (len(signature) + 1) * BODY.leading)
        whole = self._height(_indented(last), BODY) + height + 2 * PADDING + self._height(notes, SMALL)
        self._room(min(whole, BOTTOM - TOP))
        if last:
            self.paragraph(_indented(last))
        self._room(height)
        self._y += height
        if paper.link:
            self._code(paper.link)
        self._signature(signature)
        self._y += 2 * PADDING
        if notes:
            self.paragraph(f"注：{notes}", SMALL)

    def finished(self) -> bytes:
        """The file. Nothing can be written any more."""
        return bytes(self._pdf.output())

    def _drawn(self, character: str) -> str:
        if character == "\n" or character in self._glyphs:
            return character
        return " " if unicodedata.category(character) == "Zs" else MISSING

    def _drawable(self) -> frozenset[str]:
        """Characters that every one of our fonts has."""
        fonts = [font for font in self._pdf.fonts.values() if isinstance(font, TTFFont)]
        return frozenset(map(chr, set.intersection(*(set(font.cmap) for font in fonts))))

    def _row(self, row: Row) -> None:
        """A row, on as many pages as it needs; the label stands in each part."""
        label = self._lines(row.label, LABEL - 2 * PADDING, LABELS)
        lines = self._lines(row.value, MEASURE - LABEL - 2 * PADDING, VALUES)
        lines += [""] * (row.room - len(lines))
        least = max(len(label), min(2, len(lines)))
        while lines:
            fitting = int((BOTTOM - self._y - 2 * PADDING) // VALUES.leading)
            if fitting < least and self._y > TOP:
                self._new_page()
                continue
            self._cells(label, lines[:fitting])
            lines = lines[fitting:]

    def _cells(self, label: Sequence[str], lines: Sequence[str]) -> None:
        height = max(len(label), len(lines)) * VALUES.leading + 2 * PADDING
        self._pdf.rect(LEFT, self._y, LABEL, height)
        self._pdf.rect(LEFT + LABEL, self._y, MEASURE - LABEL, height)
        top = self._y + (height - len(label) * LABELS.leading) / 2
        for number, line in enumerate(label):
            x = LEFT + (LABEL - self._width(line, LABELS)) / 2
            self._write(line, x, top + number * LABELS.leading, LABELS)
        for number, line in enumerate(lines):
            y = self._y + PADDING + number * VALUES.leading
            self._write(line, LEFT + LABEL + PADDING, y, VALUES)
        self._y += height

    def _code(self, link: Link) -> None:
        """The code and its caption, ending where the pen is."""
        top = self._y - SMALL.leading
        with Image.open(BytesIO(qr_png(link.url))) as image:
            # Grey, as black and white would come as a fax, which not every viewer on a telephone can read.
            self._pdf.image(image.convert("L"), LEFT, top - CODE, CODE, CODE)
        self._write(link.caption, LEFT + (CODE - self._width(link.caption, SMALL)) / 2, top, SMALL)

    def _signature(self, lines: Sequence[str]) -> None:
        """The lines centred on each other, two characters from the right edge, ending where the pen is."""
        widest = max(self._width(line, BODY) for line in lines)
        for following, line in zip(range(len(lines), 0, -1), lines, strict=True):
            x = RIGHT - 2 * BODY.size - (widest + self._width(line, BODY)) / 2
            self._write(line, x, self._y - following * BODY.leading, BODY)

    def _justified(self, text: str, type: _Type) -> Iterator[tuple[str, float]]:
        """Lines, and how far each character is to be moved from the one before it."""
        for paragraph in text.split("\n"):
            *full, last = self._lines(paragraph, MEASURE, type)
            for line in full:
                spread = (MEASURE - self._width(line, type)) / max(1, len(line) - 1)
                yield line, spread if spread <= LOOSEST * type.size else 0.0
            yield last, 0.0

    def _lines(self, text: str, width: float, type: _Type) -> list[str]:
        def measure(part: str) -> float:
            return self._width(part, type)

        return [line for paragraph in text.split("\n") for line in wrap(paragraph, width, measure)]

    def _height(self, text: str, type: _Type) -> float:
        return len(self._lines(text, MEASURE, type)) * type.leading

    def _width(self, text: str, type: _Type) -> float:
        self._pdf.set_font(type.font, size=type.size)
        return self._pdf.get_string_width(text)

    def _write(self, line: str, x: float, top: float, type: _Type, spread: float = 0.0) -> None:
        self._pdf.set_font(type.font, size=type.size)
        with self._pdf.local_context():
            self._pdf.set_char_spacing(spread)
            if type.bold:
                self._pdf.text_mode = TextMode.FILL_STROKE
                self._pdf.set_line_width(type.size * BOLDER)
            self._pdf.text(x, top + (type.leading + type.size * CAPITALS) / 2, line)

    def _room(self, height: float) -> None:
        """On to the next page if so much does not fit on this one."""
        if self._y + height > BOTTOM and self._y > TOP:
            self._new_page()

    def _new_page(self) -> None:
        self._pdf.add_page()
        self._y = TOP


def _indented(text: str) -> str:
    return f"　　{text}".replace("\n", "\n　　")


def _is_shapeless(character: str) -> bool:
    """Whether the character only tells how others are to be shown: joiners, variation selectors and the like."""
    return unicodedata.category(character) == "Cf" or any(first <= character <= last for first, last in SELECTORS)
