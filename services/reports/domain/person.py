"""A person in plain, as long as a request is handled, and how a person is found and taken out of what was written.

What people write is not what is looked for: a number has blanks, brackets and full-width digits, a name has another
dot, a blank or something invisible in it. So both are searched character by character, whatever stands between.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.reports.domain.writing import NAME_LIMIT, phone_number, plain_text

CHINA_CODE = "+86"
HIDDEN = "***"
"""What stands where somebody was taken out."""
_DASHES = r"\-\u2010-\u2015\u2212"
_SEPARATORS = re.compile(rf"[\s()./{_DASHES}]")
_EXTENSION = re.compile(r"(?:转|轉|分机|內線|内线|ext\.?|x|#)\s*(\d{1,6})$", re.IGNORECASE)
_TRUNK = re.compile(rf"(\(?(?:0\d{{2,3}}|[48]00)[\s(){_DASHES}]*\d{{3,4}}[\s{_DASHES}]?\d{{4}})[{_DASHES}](\d{{1,6}})$")
"""A number with an area code, and after a dash the extension behind it."""
_MOBILE = re.compile(r"1[3-9]\d{9}")
_TITLE = re.compile(r"(?:先生|女士|小姐|同志|老师|师傅|阿姨|大爷)$")
_SHORTEST_NAME = 2
_SHORTEST_LOCAL = 7
_LONG_NUMBER, _SHOWN_FIRST, _SHOWN_LAST = 10, 3, 4
_BETWEEN = r"[\W_]{0,3}"
_CONTACTS = (
    r"(?<!\d)(?:(?:\+?86|0086){b})?1{b}[3-9](?:{b}\d){9}(?!\d)",
    r"(?<!\d)0{b}[1-9](?:{b}\d){8,10}(?!\d)",
    r"(?<!\d)[48]{b}0{b}0(?:{b}\d){7}(?!\d)",
    r"(?<!\d)\d(?:{b}\d){16}{b}[\dx](?![\dx])",
    r"[a-z0-9.+_-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+",
)
_CONTACT = re.compile("|".join(_CONTACTS).replace("{b}", r"[\s().\-\u200b-\u200f\u2060\ufeff]{0,2}"), re.IGNORECASE)


@dataclass(frozen=True)
class Person:
    """A name and a number in plain. Never kept, told or logged like this."""

    name: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)

    @classmethod
    def checked(cls, name: str | None, phone: str | None) -> Person:
        """What somebody said of themselves. Raises what `plain_text` and `phone_number` raise."""
        return cls(
            (plain_text(name, "reporter.name", NAME_LIMIT) or None) if name else None,
            phone_number(unicodedata.normalize("NFKC", phone), "reporter.phone") if phone else None,
        )

    @property
    def masked_name(self) -> str | None:
        """The first character, which is the surname of most: 王**."""
        return f"{self.name[0]}**" if self.name else None

    @property
    def masked_phone(self) -> str | None:
        """The ends of a number: 073****8888; of a short one the last four digits, of a very short one nothing."""
        if self.phone is None:
            return None
        digits = _SEPARATORS.sub("", _parted(self.phone)[0])
        if len(digits) >= _LONG_NUMBER:
            return f"{digits[:_SHOWN_FIRST]}****{digits[-_SHOWN_LAST:]}"
        return f"****{digits[-_SHOWN_LAST:]}" if len(digits) > _SHOWN_LAST + 2 else "****"

    def taken_out_of(self, text: str) -> str:
        """The text without this person's name, with or without a title, and number, however they are written.

        A name of one character stays: it is most often a part of another word.
        """
        for sought in self._sought():
            text = _struck(sought, text)
        return text

    def _sought(self) -> Iterator[re.Pattern[str]]:
        for number in _writings(self.phone) if self.phone else ():
            yield re.compile(_loosely(number))
        for name in (self.name or "", _TITLE.sub("", self.name or "")):
            letters = re.sub(r"[\W_]", "", _folded(name))
            if len(letters) >= _SHORTEST_NAME:
                yield re.compile(_loosely(letters), re.IGNORECASE)


def without_contacts(text: str) -> str:
    """The text without telephone numbers, identity numbers and e-mail addresses, whose ever they are."""
    return _struck(_CONTACT, text)


def same_number(phone: str, area: str) -> str:
    """The number as everybody else writes it too (E.164 where it can be told): equal for equal telephones.

    A number without a country is China's, a landline number without an area code is one of `area` (like 0734). An
    extension (转801) is another telephone.
    """
    main, extension = _parted(phone)
    digits = re.sub(r"^00(?=[1-9])", "+", _SEPARATORS.sub("", main))
    behind = f"#{extension}" if extension else ""
    if digits.startswith("+") and not digits.startswith(CHINA_CODE):
        return digits + behind
    national = _national(digits)
    if re.fullmatch(r"[2-8]\d{6,7}", national):
        national = area + national
    return CHINA_CODE + national.removeprefix("0") + behind


def _parted(phone: str) -> tuple[str, str]:
    """The number itself and its extension, if it has one."""
    text = unicodedata.normalize("NFKC", phone).strip()
    if named := _EXTENSION.search(text):
        return text[: named.start()], named[1]
    if behind := _TRUNK.fullmatch(text):
        return behind[1], behind[2]
    return text, ""


def _national(digits: str) -> str:
    national = digits.removeprefix(CHINA_CODE)
    return national.removeprefix("86") if _MOBILE.fullmatch(national.removeprefix("86")) else national


def _writings(phone: str) -> Iterator[str]:
    """The digits of a number as they may stand in a text: with its area code, and without."""
    digits = re.sub(r"^00(?=[1-9])", "+", _SEPARATORS.sub("", _parted(phone)[0]))
    national = re.sub(r"\D", "", _national(digits))
    if digits.startswith(CHINA_CODE) and not _MOBILE.fullmatch(national):
        national = f"0{national.removeprefix('0')}"
    yield national
    yield national.removeprefix("0")
    local = re.sub(r"^0(?:10|2\d|[3-9]\d\d)", "", national)
    if len(local) >= _SHORTEST_LOCAL:
        yield local


def _struck(sought: re.Pattern[str], text: str) -> str:
    """The text with what is found in it, however wide it is written, hidden."""
    folded, parts, done = _folded(text), [], 0
    for found in sought.finditer(folded):
        parts += [text[done : found.start()], HIDDEN]
        done = found.end()
    return "".join([*parts, text[done:]])


def _folded(text: str) -> str:
    """The text with wide letters and digits as plain ones, character by character: places stay the same."""
    return "".join(plain if len(plain := unicodedata.normalize("NFKC", each)) == 1 else each for each in text)


def _loosely(characters: str) -> str:
    return _BETWEEN.join(map(re.escape, characters))
