"""A measure (措施): one rung of the ladder taken against a unit, as a numbered paper."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.scoring.domain.ladder import Cause, Rung
from shared.clock import CHINA
from shared.contracts.scoring import MeasureChanged, MeasureState
from shared.documents.paper import Link, Paper, Row
from shared.errors import Refused

TEXT_LIMIT = 2000
"""Characters of a reply or a reason."""


@dataclass
class Measure:
    """A paper to a unit, word for word as it was issued, and what became of it; times are UTC.

    The identity is `<rung>-<year>-<number>`. `state` follows from what has been done; a reply does not end it. What
    was written by a unit or the office stays here: events do not carry it.
    """

    id: str
    matter: str
    rung: str
    name: str
    ladder: int
    year: int
    number: str
    unit: str
    cause: Cause
    basis: str
    issued_at: datetime
    due_at: datetime
    paper: Paper
    state: MeasureState = MeasureState.ISSUED
    received_at: datetime | None = None
    received_by: str = ""
    """Subject of who signed for it; `replied_by` of who replied."""
    replied_at: datetime | None = None
    replied_by: str = ""
    reply: str = ""
    climbed_at: datetime | None = None
    """When the next rung was taken because this one was not answered."""
    held_until: datetime | None = None
    hold_reason: str = ""
    held_by: str = ""
    ended_at: datetime | None = None
    end_reason: str = ""
    ended_by: str = ""

    def receive(self, now: datetime, by: str) -> None:
        """签收. Raises Refused (measure-ended, measure-received)."""
        self._require_open()
        if self.received_at is not None:
            raise Refused("measure-received")
        self.received_at, self.received_by = now, by
        self._settle()

    def answer(self, text: str, now: datetime, by: str) -> None:
        """书面回复; who replies has received it. Raises Refused (measure-ended, measure-replied)."""
        self._require_open()
        if self.replied_at is not None:
            raise Refused("measure-replied")
        if self.received_at is None:
            self.received_at, self.received_by = now, by
        self.replied_at, self.replied_by, self.reply = now, by, text
        self._settle()

    def hold(self, until: datetime, reason: str, by: str) -> None:
        """It rests until then."""
        self.held_until, self.hold_reason, self.held_by = until, reason, by
        self._settle()

    def release(self, due_at: datetime) -> None:
        """It goes on; what is not answered yet is to be answered by `due_at`."""
        self.held_until = None
        if self.replied_at is None:
            self.due_at = due_at
        self._settle()

    def end(self, now: datetime, reason: str, by: str) -> None:
        """Its cause is over."""
        self.ended_at, self.end_reason, self.ended_by, self.held_until = now, reason, by, None
        self._settle()

    def event(self) -> MeasureChanged:
        """The measure as others hear of it."""
        return MeasureChanged(
            measure=self.id,
            number=self.number,
            rung=self.rung,
            unit=self.unit,
            cause=self.cause.id,
            state=self.state,
            issued_at=self.issued_at,
            due_at=self.due_at,
            case=self.cause.case,
            period=self.cause.period,
        )

    def _require_open(self) -> None:
        if self.ended_at is not None:
            raise Refused("measure-ended")

    def _settle(self) -> None:
        if self.ended_at is not None:
            self.state = MeasureState.ENDED
        elif self.held_until is not None:
            self.state = MeasureState.HELD
        elif self.replied_at is not None:
            self.state = MeasureState.REPLIED
        else:
            self.state = MeasureState.ISSUED if self.received_at is None else MeasureState.RECEIVED


def paper_of(rung: Rung, number: str, names: Names, cause: Cause, basis: str, times: Times, url: str) -> Paper:
    """The paper of a rung, to the unit's leader and its liaison."""
    about = {"案件编号": cause.case, "问题类别": names.category, "考核月份": cause.period}
    return Paper(
        title=rung.name.zh,
        number=number,
        issuer=names.office,
        date=times.issued_at,
        addressee=f"{names.unit}主要负责人、联络员",
        opening=(f"经查，{basis}。", rung.text),
        rows=(
            Row("责任单位", names.unit),
            *(Row(label, value) for label, value in about.items() if value),
            Row("依据", basis),
            Row("回复期限", f"{times.due_at.astimezone(CHINA):%Y-%m-%d %H:%M}前"),
            Row("签收", room=2),
        ),
        closing=("书面回复不等于销号，问题以复查结果为准。",),
        link=Link(url, "扫码查看"),
        to_be_sealed=True,
    )


@dataclass(frozen=True)
class Names:
    """What people call the office, the unit and the category; that is empty where the cause has none."""

    office: str
    unit: str
    category: str


@dataclass(frozen=True)
class Times:
    """When a paper is issued and until when it is to be answered (UTC)."""

    issued_at: datetime
    due_at: datetime
