"""What an official paper says, apart from how it is printed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.clock import CHINA

MISSING = "□"
"""What stands where a character cannot be shown: the reader sees that there was one."""

# What XML 1.0 cannot hold, other control characters, and overrides of the writing direction, which make a paper
# read as something else than what it says.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS = re.compile(r"\r\n|[\r\u2028\u2029]")


@dataclass(frozen=True)
class Row:
    """A row of the table of facts. `room` lines at least are left for it, to be filled in by hand where it is empty."""

    label: str
    value: str = ""
    room: int = 1


@dataclass(frozen=True)
class Link:
    """Where the QR code leads (at most 1,000 characters), and what stands below it."""

    url: str
    caption: str


@dataclass(frozen=True)
class Paper:
    """An official paper, in the order in which it is read.

    `addressee` (主送机关) comes without its colon; an empty one is left out. Paragraphs stand before (`opening`) and
    after (`closing`) the table. `date` is aware and shown as a day in Asia/Shanghai. `to_be_sealed` asks for the
    issuer's seal where it signs. A line break in any text is one on the paper.
    """

    title: str
    number: str
    issuer: str
    date: datetime
    addressee: str = ""
    opening: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    closing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    link: Link | None = None
    to_be_sealed: bool = False

    @property
    def signature(self) -> str:
        """The issuer as it signs."""
        return f"{self.issuer}（盖章）" if self.to_be_sealed else self.issuer

    @property
    def day(self) -> str:
        """The date as official papers write it: 2026年3月2日, without leading zeros (GB/T 9704-2012, 7.3.5.4)."""
        day = self.date.astimezone(CHINA)
        return f"{day.year}年{day.month}月{day.day}日"

    def written(self, write: Callable[[str], str]) -> Paper:
        """The same paper with every text as `write` gives it; where the link leads stays."""

        def each(texts: Sequence[str]) -> tuple[str, ...]:
            return tuple(map(write, texts))

        return replace(
            self,
            title=write(self.title),
            number=write(self.number),
            issuer=write(self.issuer),
            addressee=write(self.addressee),
            opening=each(self.opening),
            rows=tuple(replace(row, label=write(row.label), value=write(row.value)) for row in self.rows),
            closing=each(self.closing),
            notes=each(self.notes),
            link=self.link and replace(self.link, caption=write(self.link.caption)),
        )


def plain(text: str) -> str:
    """The text in NFC with `\\n` for line ends, and `□` for what no file can hold."""
    text = _LINE_ENDS.sub("\n", text).replace("\t", " ")
    return _UNPRINTABLE.sub(MISSING, unicodedata.normalize("NFC", text))


def numbered(year: int, number: int) -> str:
    """A number as papers bear it: 〔2026〕第0001号."""
    return f"〔{year}〕第{number:04}号"
