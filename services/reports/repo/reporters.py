"""Reporters known again without being known: what is kept of them, and what the district lets them do.

Names and numbers are in plain only while a request is handled; what is kept is sealed, and what is looked up is a
digest (`shared.vault`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.reports.domain import Case, Moderation, Person, Reporter, ReportingTerms
from services.reports.domain.abuse import marks_of_address
from services.reports.domain.person import same_number
from services.reports.domain.reporter import next_day
from services.reports.repo import BANS, CASES, FOLLOWERS
from shared.clock import CHINA
from shared.contracts.reports import Channel
from shared.errors import Forbidden, TooMany
from shared.store import Store
from shared.store.collection import Filter
from shared.vault import Unreadable, Vault

ACCOUNT, PHONE, TRACKING = "account", "phone", "tracking"
"""Purposes of digests."""


@dataclass(frozen=True)
class Sender:
    """Somebody who hands in a report: what they say of themselves, the subject of their token, their address.

    `stranger`: nobody vouches for them, so the limits hold and the office looks at what they want published.
    """

    person: Person = field(default_factory=Person)
    account: str | None = field(default=None, repr=False)
    address: str = field(default="", repr=False)
    may_call: bool = True
    may_publish: bool = True
    stranger: bool = True


class Reporters:
    """The reporters of one service."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self.store = store
        self.vault = vault

    def kept(self, sender: Sender, terms: ReportingTerms) -> Reporter | None:
        """The sender as a case may keep them; None of somebody who said nothing."""
        person, account = sender.person, sender.account
        said_nothing = not (person.name or person.phone or account)
        if said_nothing and sender.may_call and sender.may_publish:
            return None
        plain = json.dumps([person.name, person.phone], ensure_ascii=False)
        return Reporter(
            sealed=self.vault.seal(plain) if person.name or person.phone else None,
            account=self.vault.digest(ACCOUNT, account) if account else None,
            phone=self.vault.digest(PHONE, same_number(person.phone, terms.area_code)) if person.phone else None,
            may_call=sender.may_call,
            may_publish=sender.may_publish,
        )

    def person(self, reporter: Reporter | None) -> Person:
        """Name and number in plain; nobody where none was given. Raises Unreadable."""
        if reporter is None or reporter.sealed is None:
            return Person()
        name, phone = json.loads(self.vault.open(reporter.sealed))
        return Person(name, phone)

    def person_if_readable(self, reporter: Reporter | None) -> Person:
        """As `person`; nobody where the key is gone."""
        try:
            return self.person(reporter)
        except Unreadable:
            return Person()

    async def followers(self, case: Case) -> int:
        """How many wait for the case besides its reporter: its followers, and those of what was merged into it."""
        wanted = {"case": {"$in": [case.id, *case.merged]}}
        return len(case.merged) + await self.store.count(FOLLOWERS, wanted)

    def owns(self, account: str, reporter: Reporter | None) -> bool:
        """Whether the account is the reporter's."""
        return reporter is not None and reporter.account in self.vault.digests(ACCOUNT, account)

    def of_account(self, account: str) -> Filter:
        """Cases that the account reported."""
        return {"reporter.account": {"$in": self.vault.digests(ACCOUNT, account)}}

    async def admit(self, sender: Sender, terms: ReportingTerms, now: datetime) -> None:
        """Let a stranger report. Raises Forbidden (reporter-banned), TooMany (reports-per-day)."""
        digests = [digest for _, its in self._digests(sender, terms) for digest in its]
        await self.refuse_banned([*marks_of_address(sender.address), *digests], now)
        today = {"_id": {"$gte": f"{now.astimezone(CHINA):%Y%m%d}-"}}
        for search in self._searches(sender, terms):
            if await self.store.count(CASES, {**search, **today}) >= terms.reports_per_day:
                raise TooMany("reports-per-day", retry_after=seconds_to_tomorrow(now), limit=terms.reports_per_day)

    async def refuse_shut_out(self, address: str, account: str, now: datetime) -> None:
        """Raises Forbidden (reporter-banned) for an address, and an account if there is one, that may not report."""
        of_account = self.vault.digests(ACCOUNT, account) if account else ()
        await self.refuse_banned([*marks_of_address(address), *of_account], now)

    async def refuse_banned(self, marks: Sequence[str], now: datetime) -> None:
        """Raises Forbidden (reporter-banned) for who has one of the marks: an address, an account, a number."""
        bans = await self.store.find(BANS, {"marks": {"$in": list(marks)}, "until": {"$gt": now}}, [("until", -1)], 1)
        if bans:
            raise Forbidden("reporter-banned", until=bans[0].until.astimezone(CHINA).isoformat(" ", "minutes"))

    async def moderation(
        self, sender: Sender, terms: ReportingTerms, channel: Channel, photos: Sequence[str]
    ) -> Moderation:
        """Whether what the sender hands in may be published: never against their will, at first not without a look."""
        if not sender.may_publish:
            return Moderation.WITHHELD
        if not (sender.stranger and terms.waits(channel, with_photos=bool(photos))):
            return Moderation.APPROVED
        approved = {"moderation": Moderation.APPROVED.value, "moderated_at": {"$ne": None}}
        for search in self._searches(sender, terms):
            if await self.store.find(CASES, {**search, **approved}, limit=1):
                return Moderation.APPROVED
        return Moderation.PENDING

    def _searches(self, sender: Sender, terms: ReportingTerms) -> list[Filter]:
        """Cases of the same account, cases of the same number; an index serves each."""
        return [{f"reporter.{what}": {"$in": digests}} for what, digests in self._digests(sender, terms)]

    def _digests(self, sender: Sender, terms: ReportingTerms) -> list[tuple[str, list[str]]]:
        found = []
        if sender.account:
            found.append((ACCOUNT, self.vault.digests(ACCOUNT, sender.account)))
        if sender.person.phone:
            number = same_number(sender.person.phone, terms.area_code)
            found.append((PHONE, self.vault.digests(PHONE, number)))
        return found


def seconds_to_tomorrow(now: datetime) -> int:
    """Until the next day begins in Asia/Shanghai; at least 1."""
    return max(1, math.ceil((next_day(now) - now).total_seconds()))
