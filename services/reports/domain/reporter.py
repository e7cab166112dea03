"""Who reported: as they say it, as it is kept, and as others see it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.reports.domain.writing import NAME_LIMIT, phone_number, plain_text
from shared.clock import CHINA
from shared.contracts.reports import Channel

CHINA_CODE = "+86"
_SEPARATORS = re.compile(r"[\s()./-]")
_MOBILE = re.compile(r"1[3-9]\d{9}")
_TITLE = re.compile(r"(?:先生|女士|小姐|同志|老师|师傅|阿姨|大爷)$")
_HIDDEN = "***"
_SHORTEST_NAME = 2
_LONG_NUMBER, _SHOWN_FIRST, _SHOWN_LAST = 10, 3, 4


@dataclass(frozen=True)
class Person:
    """A name and a number in plain, as long as a request is handled. Never kept, told or logged like this."""

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
        digits = _SEPARATORS.sub("", self.phone)
        if len(digits) >= _LONG_NUMBER:
            return f"{digits[:_SHOWN_FIRST]}****{digits[-_SHOWN_LAST:]}"
        return f"****{digits[-_SHOWN_LAST:]}" if len(digits) > _SHOWN_LAST + 2 else "****"

    def taken_out_of(self, text: str) -> str:
        """The text without this person's name, with or without a title, and number, however its digits are set apart.

        A name of one character stays: it is most often a part of another word.
        """
        if self.phone is not None:
            digits = re.sub(r"\D", "", self.phone.replace(CHINA_CODE, ""))
            text = re.sub(r"[\s()./-]*".join(digits), _HIDDEN, text)
        for name in (self.name or "", _TITLE.sub("", self.name or "")):
            if len(name) >= _SHORTEST_NAME:
                text = text.replace(name, _HIDDEN)
        return text


def same_number(phone: str, area: str) -> str:
    """The number as everybody else writes it too (E.164 where it can be told): equal for equal telephones.

    A number without a country is China's, a landline number without an area code is one of `area` (like 0734).
    """
    digits = _SEPARATORS.sub("", unicodedata.normalize("NFKC", phone))
    digits = re.sub(r"^00(?=[1-9])", "+", digits)
    if digits.startswith("+") and not digits.startswith(CHINA_CODE):
        return digits
    national = digits.removeprefix(CHINA_CODE)
    if _MOBILE.fullmatch(national.removeprefix("86")):
        national = national.removeprefix("86")
    if re.fullmatch(r"[2-8]\d{6,7}", national):
        national = area + national
    return CHINA_CODE + national.removeprefix("0")


@dataclass(frozen=True)
class Reporter:
    """Who reported, in the form that is kept: never leaves this service's database.

    `sealed` holds name and number. `account` and `phone` are keyed digests of the token's subject and of the number:
    they recognise somebody and tell nothing. `may_call`: they agree to be asked; `may_publish`: to what they handed
    in being shown in public.
    """

    sealed: str | None = field(default=None, repr=False)
    account: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    may_call: bool = True
    may_publish: bool = True


@dataclass(frozen=True)
class Sight:
    """What somebody sees of a reporter: the masked name, the masked number; `opens`: both in full, with a reason.

    `own`: only in cases of the own unit, and of the number only if the reporter agreed to be called.
    """

    name: bool = False
    phone: bool = False
    opens: bool = False
    own: bool = False


SIGHTS: Mapping[str, Sight] = {
    "office": Sight(name=True, phone=True, opens=True),
    "dispatcher": Sight(name=True, phone=True, opens=True),
    "liaison": Sight(name=True, phone=True, opens=True, own=True),
    "officer": Sight(name=True, own=True),
    "verifier": Sight(name=True),
    "leader": Sight(),
    "discipline": Sight(),
}
"""By role. Everybody else, the public and other units among them, sees not even whether somebody left a name."""


def sight_of(roles: Collection[str], *, in_charge: bool, may_call: bool) -> Sight:
    """What somebody with these roles sees of the reporter of a case; `in_charge`: their unit leads it."""
    held = [SIGHTS[role] for role in roles if role in SIGHTS]
    held = [sight for sight in held if in_charge or not sight.own]
    return Sight(
        name=any(sight.name for sight in held),
        phone=any(sight.phone and (may_call or not sight.own) for sight in held),
        opens=any(sight.opens and (may_call or not sight.own) for sight in held),
    )


class Moderated(StrEnum):
    """Which reports of people nobody knows yet are looked at before the public sees them."""

    NONE = "none"
    PHOTOS = "photos"
    ALL = "all"


@dataclass(frozen=True)
class ReportingTerms:
    """How the district deals with reporters (上报规则), in one version of the office's file.

    `area_code` belongs to landline numbers without one. `reports_per_day` one reporter may file and
    `updates_per_day` add to a case, in Asia/Shanghai days. What somebody new hands in by one of
    `moderated_channels` waits for the office before it is published, as `moderated` says; the handling never waits.
    After `retention_days` from its end a case keeps its facts and figures only.
    """

    version: int
    area_code: str
    reports_per_day: int
    updates_per_day: int
    moderated_channels: tuple[Channel, ...]
    moderated: Moderated
    retention_days: int

    def waits(self, channel: Channel, *, with_photos: bool) -> bool:
        """Whether the office looks at it first, if it is from somebody new."""
        if channel not in self.moderated_channels:
            return False
        return self.moderated is Moderated.ALL or (self.moderated is Moderated.PHOTOS and with_photos)

    def horizon(self, now: datetime) -> datetime:
        """Cases that ended before have been kept long enough."""
        return now - timedelta(days=self.retention_days)


def day_of(now: datetime) -> datetime:
    """When the day began in Asia/Shanghai (UTC)."""
    return now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def next_day(now: datetime) -> datetime:
    """When the next day begins in Asia/Shanghai (UTC); China has no summer time."""
    return day_of(now) + timedelta(days=1)
