"""Who reported: as it is kept, and as others see it (`person.py`: in plain)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.clock import CHINA
from shared.contracts.reports import Channel


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

    `of_unit`: only in cases of the own unit, and of the number only if the reporter agreed to be called.
    """

    name: bool = False
    phone: bool = False
    opens: bool = False
    of_unit: bool = False


SIGHTS: Mapping[str, Sight] = {
    "office": Sight(name=True, phone=True, opens=True),
    "dispatcher": Sight(name=True, phone=True, opens=True),
    "liaison": Sight(name=True, phone=True, opens=True, of_unit=True),
    "officer": Sight(name=True, of_unit=True),
    "verifier": Sight(name=True),
    "leader": Sight(),
    "discipline": Sight(),
}
"""By role. Everybody else, the public and other units among them, sees not even whether somebody left a name."""


def sight_of(roles: Collection[str], *, in_charge: bool, may_call: bool) -> Sight:
    """What somebody with these roles sees of the reporter of a case; `in_charge`: their unit leads it."""
    held = [SIGHTS[role] for role in roles if role in SIGHTS]
    held = [sight for sight in held if in_charge or not sight.of_unit]
    return Sight(
        name=any(sight.name for sight in held),
        phone=any(sight.phone and (may_call or not sight.of_unit) for sight in held),
        opens=any(sight.opens and (may_call or not sight.of_unit) for sight in held),
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
