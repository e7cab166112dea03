"""Red and black lists (红黑榜): who is commended or exposed in a month, each by one sentence, signed by a 督导组.

A list is written as a draft, approved by somebody who did not write it, and published under a number; from then on no
word of it changes. A mistake is answered by withdrawing the list: that it was there stays, who stood on it is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.scoring.domain.acts import Act, decide
from shared.contracts.scoring import ListItem, ListKind, ListPublished, ListWithdrawn
from shared.district.names import Name
from shared.documents.paper import Link, Paper, numbered
from shared.errors import Invalid, Refused
from shared.own_cause import Decider
from shared.writing import plain_text

VENUE_LIMIT = 50
BASIS_LIMIT = 64
CODE_LIMIT = 60
WITHDRAWAL_LIMIT = 200
CHINESE = {ListKind.RED: "红榜", ListKind.BLACK: "黑榜"}
"""How offices call a list."""

_BREAK = re.compile(r"[\t\n\u2028\u2029]")
_TELEPHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
_ENDS = re.compile(r"[。！？!?]")
_BASIS = re.compile(r"[0-9A-Za-z-]+")


class ListState(StrEnum):
    """Where a list stands."""

    DRAFT = "draft"
    APPROVED = "approved"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Item:
    """A venue in an `area`, or a unit, and why it is listed; `case` and `visit` are what that rests on."""

    reason: str
    area: str | None = None
    venue_type: str | None = None
    venue: str | None = None
    unit: str | None = None
    case: str | None = None
    visit: str | None = None

    @property
    def subject(self) -> tuple[str | None, ...]:
        """Who it is about."""
        return self.area, self.venue, self.unit


@dataclass(frozen=True)
class Content:
    """What a list says: of which month (`YYYY-MM`, Asia/Shanghai), who issues it, and its items in order."""

    kind: ListKind
    period: str
    issuer: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Terms:
    """What the district has names for, by code, and how long a reason and a list may be.

    An area is the district, a subdistrict or a community; its code begins with that of the area it lies in
    (统计用区划代码).
    """

    areas: Mapping[str, Name]
    units: Mapping[str, Name]
    venue_types: Mapping[str, Name]
    issuers: Mapping[str, Name]
    reason_limit: int
    items_limit: int

    def where(self, area: str) -> str:
        """The area as addresses have it, from the district down."""
        return "".join(name.zh for code, name in sorted(self.areas.items()) if area.startswith(code))


@dataclass
class RedBlackList:
    """A list through its life; `version` counts what was done to it, and is how its audit rows are numbered.

    `written_by` are all who had a hand in the draft. `number` is the paper's among those of its kind and `year`
    (Asia/Shanghai); the paper is kept as it was issued.
    """

    id: str
    content: Content
    drafted_at: datetime
    written_by: tuple[str, ...]
    state: ListState = ListState.DRAFT
    version: int = 1
    approved_by: str | None = None
    approved_at: datetime | None = None
    year: int | None = None
    number: int | None = None
    published_at: datetime | None = None
    paper: Paper | None = None
    withdrawn_at: datetime | None = None
    withdrawal: str = ""

    @property
    def serial(self) -> str:
        """The number as the paper bears it: 〔2026〕第0001号; empty before there is one."""
        return "" if self.year is None or self.number is None else numbered(self.year, self.number)

    def edit(self, content: Content, based_on: int, by: str) -> None:
        """Another wording of the draft. Raises Refused (list-stale, list-state)."""
        self._require(ListState.DRAFT)
        self._require_version(based_on)
        self.content = content
        self.written_by = tuple(dict.fromkeys([*self.written_by, by]))
        self.version += 1

    @property
    def units(self) -> frozenset[str]:
        """The units that it names."""
        return frozenset(item.unit for item in self.content.items if item.unit)

    def approve(self, based_on: int, by: Decider, at: datetime) -> None:
        """This wording may be published.

        Raises Refused (list-stale, list-state), Forbidden (second-person-required, decision-on-own-unit).
        """
        self._require(ListState.DRAFT)
        self._require_version(based_on)
        decide(Act.APPROVE_LIST, by, units=self.units, people=self.written_by)
        self.state, self.approved_by, self.approved_at = ListState.APPROVED, by.subject, at
        self.version += 1

    def publish(self, year: int, number: int, by: Decider, at: datetime) -> ListPublished:
        """The list is public under its number from now on. Raises Refused (list-state), Forbidden (see `approve`)."""
        self._require(ListState.APPROVED)
        decide(Act.PUBLISH_LIST, by, units=self.units)
        self.state, self.year, self.number, self.published_at = ListState.PUBLISHED, year, number, at
        self.version += 1
        return ListPublished(
            list=self.id,
            number=self.serial,
            kind=self.content.kind,
            period=self.content.period,
            issuer=self.content.issuer,
            items=tuple(ListItem.model_validate(item, from_attributes=True) for item in self.content.items),
            published_at=at,
        )

    def withdraw(self, reason: str, by: Decider, at: datetime) -> ListWithdrawn | None:
        """The list does not stand any more; nothing to tell of one that never was public.

        The reason stays inside: it says who should not have been listed. Raises Refused (list-state), Forbidden
        (decision-on-own-unit), Invalid (see `text`).
        """
        self._require(ListState.DRAFT, ListState.APPROVED, ListState.PUBLISHED)
        decide(Act.WITHDRAW_LIST, by, units=self.units)
        self.withdrawal = text(reason, "reason", WITHDRAWAL_LIMIT)
        self.state, self.withdrawn_at = ListState.WITHDRAWN, at
        self.version += 1
        if self.published_at is None:
            return None
        return ListWithdrawn(
            list=self.id,
            number=self.serial,
            kind=self.content.kind,
            period=self.content.period,
            issuer=self.content.issuer,
            published_at=self.published_at,
            withdrawn_at=at,
        )

    def _require(self, *states: ListState) -> None:
        if self.state not in states:
            raise Refused("list-state", state=self.state.value)

    def _require_version(self, based_on: int) -> None:
        if based_on != self.version:
            raise Refused("list-stale", field="based_on", current=self.version)


def checked(content: Content, terms: Terms) -> Content:
    """The content with its texts in the form in which they are kept. Raises the first of its `faults`."""
    if not 0 < len(content.items) <= terms.items_limit:
        raise Invalid("list-items-number", field="items", limit=terms.items_limit)
    items = tuple(_tidied(item, f"items.{place}", terms) for place, item in enumerate(content.items))
    tidied = replace(content, items=items)
    for fault in faults(tidied, terms):
        raise fault
    return tidied


def faults(content: Content, terms: Terms) -> Iterator[Invalid]:
    """Everything that is wrong with what a list names."""
    if content.kind is ListKind.OTHER:
        yield Invalid("list-kind-unknown", field="kind")
    if content.issuer not in terms.issuers:
        yield Invalid("list-issuer-unknown", field="issuer", given=content.issuer, known=", ".join(terms.issuers))
    seen: set[tuple[str | None, ...]] = set()
    for place, item in enumerate(content.items):
        where = f"items.{place}"
        if item.subject in seen:
            yield Invalid("list-item-twice", field=where)
        seen.add(item.subject)
        yield from _faults(item, where, terms)


def _faults(item: Item, where: str, terms: Terms) -> Iterator[Invalid]:
    venue = (item.area, item.venue_type, item.venue)
    if any(venue) if item.unit else not all(venue):
        yield Invalid("list-item-subject", field=where)
    if item.area and item.area not in terms.areas:
        yield Invalid("list-area-unknown", field=f"{where}.area", given=item.area)
    if item.venue_type and item.venue_type not in terms.venue_types:
        yield Invalid("list-venue-type-unknown", field=f"{where}.venue_type", given=item.venue_type)
    if item.unit and item.unit not in terms.units:
        yield Invalid("list-unit-unknown", field=f"{where}.unit", given=item.unit)
    for name, basis in (("case", item.case), ("visit", item.visit)):
        if basis and not (len(basis) <= BASIS_LIMIT and _BASIS.fullmatch(basis)):
            yield Invalid("list-basis-malformed", field=f"{where}.{name}", limit=BASIS_LIMIT)


def _tidied(item: Item, where: str, terms: Terms) -> Item:
    return replace(
        item,
        reason=sentence(item.reason, f"{where}.reason", terms.reason_limit),
        venue=text(item.venue, f"{where}.venue", VENUE_LIMIT) if item.venue else None,
        **{name: getattr(item, name) or None for name in ("area", "venue_type", "unit", "case", "visit")},
    )


def sentence(written: str, field: str, limit: int) -> str:
    """One sentence with its full stop, `limit` characters at most.

    Raises Invalid: list-reason-sentence, and what `text` raises.
    """
    sentence = text(written, field, limit)
    ends = [found.start() for found in _ENDS.finditer(sentence)]
    if (ends and ends[0] != len(sentence) - 1) or not _ENDS.sub("", sentence):
        raise Invalid("list-reason-sentence", field=field)
    return sentence if ends else text(f"{sentence}。", field, limit)


def text(written: str, field: str, limit: int) -> str:
    """A line of plain text in NFC, without blanks around it and without telephone numbers, which would stay for ever.

    Raises Invalid: text-required, text-too-long, text-has-markup, text-has-control-characters, text-has-telephone.
    """
    sentence = plain_text(written, field, limit, required=True)
    if _BREAK.search(sentence):
        raise Invalid("text-has-control-characters", field=field)
    if _TELEPHONE.search(sentence):
        raise Invalid("text-has-telephone", field=field)
    return sentence


def paper(issued: RedBlackList, terms: Terms, district: str, url: str | None) -> Paper:
    """The list as an official paper: ■ district, street, venue, sentence; signed by the 督导组 (Jiaozuo's form).

    The list must have been published. `url` is where its code leads, None for no code.
    """
    if issued.published_at is None:
        raise LookupError(f"the list {issued.id} is not published")
    content, name = issued.content, CHINESE[issued.content.kind]
    month = f"{content.period[:4]}年{int(content.period[5:])}月"
    opening, closing = _SAID[content.kind]
    return Paper(
        title=f"{district}创建全国文明城市\n{month}{name}",
        number=f"{name}{issued.serial}",
        issuer=_named(terms.issuers, content.issuer),
        date=issued.published_at,
        opening=(opening.format(month=month), *(_line(item, terms) for item in content.items)),
        closing=(closing,),
        link=Link(url, "扫码查看榜单") if url else None,
    )


_SAID = {
    ListKind.RED: (
        "经督导检查，{month}创建全国文明城市工作中下列单位和点位表现突出，予以通报表扬。",
        "希望榜上单位和点位再接再厉，其他单位和点位学习借鉴。",
    ),
    ListKind.BLACK: (
        "经督导检查，{month}创建全国文明城市工作中下列单位和点位问题突出，予以公开曝光。",
        "请榜上单位和点位的责任单位立即整改，其他单位和点位引以为戒。",
    ),
}


def _line(item: Item, terms: Terms) -> str:
    if item.unit:
        return f"■ {_named(terms.units, item.unit)}：{item.reason}"
    kind = _named(terms.venue_types, item.venue_type or "")
    return f"■ {terms.where(item.area or '')}{item.venue}（{kind}）：{item.reason}"


def _named(names: Mapping[str, Name], code: str) -> str:
    return names[code].zh if code in names else code
