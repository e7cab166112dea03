"""The papers of a case: what the office hands to a unit (交办单) and what the unit hands back (整改回执).

Who reported is on none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.reports.domain.cases import Case
from services.reports.domain.facts import Fact, Place
from services.reports.domain.words import Command
from shared.clock import CHINA
from shared.contracts.reports import Stage
from shared.documents.paper import Link, Paper, Row
from shared.errors import Refused
from shared.roles import Role
from shared.workdays import Limit

ERASED = "（已按规定删除）"
"""What stands where something was erased."""
REPORT = "情况说明"
"""The row that has the report word for word."""
SIGN = 2
"""Lines to be left for a signature."""


class DocumentKind(StrEnum):
    """Which paper it is."""

    ASSIGNMENT_ORDER = "assignment-order"
    RECTIFICATION_RECEIPT = "rectification-receipt"

    @property
    def chinese(self) -> str:
        """How offices call it."""
        return "交办单" if self is DocumentKind.ASSIGNMENT_ORDER else "整改回执"


ISSUERS = {
    DocumentKind.ASSIGNMENT_ORDER: (Role.DISPATCHER, Role.OFFICE),
    DocumentKind.RECTIFICATION_RECEIPT: (Role.LIAISON, Role.OFFICER),
}
"""Who may issue what; a unit's people only for their own unit's cases."""


@dataclass
class Document:
    """A paper that was issued, word for word as it was: printed again it is the same, whatever became of the case.

    `number` is the paper's own among those of its kind, unit and year (Asia/Shanghai). `turn` tells how often by
    then the unit had got the case, or had replied. `issued_by` is a unit or the office's side, never a person.
    """

    id: str
    kind: DocumentKind
    case: str
    unit: str
    turn: int
    year: int
    number: int
    issued_at: datetime
    issued_by: str
    paper: Paper

    @staticmethod
    def id_of(kind: DocumentKind, case: str, unit: str, turn: int) -> str:
        """The identity: for the same turn there is never a second paper."""
        return f"{kind.value}-{case}-{unit}-{turn}"


@dataclass(frozen=True)
class Names:
    """What the district calls what the case has codes for; `community` is empty for a place in none."""

    district: str
    unit: str
    category: str
    community: str

    @property
    def office(self) -> str:
        """The campaign office as it signs."""
        return f"{self.district}创建办"


@dataclass(frozen=True)
class Heading:
    """What a paper has from its issue rather than from the case: number, moment (UTC) and where its code leads."""

    serial: str
    issued_at: datetime
    url: str


def erased(paper: Paper, redact: Callable[[str], str], *, whole: bool) -> Paper:
    """The paper as it may stay when somebody was erased: redacted, and if `whole` without the report."""
    rows = tuple(
        replace(row, value=ERASED if whole and row.label == REPORT and row.value else redact(row.value))
        for row in paper.rows
    )
    return replace(
        paper,
        rows=rows,
        opening=tuple(map(redact, paper.opening)),
        closing=tuple(map(redact, paper.closing)),
        notes=tuple(map(redact, paper.notes)),
    )


def turn_of(case: Case, kind: DocumentKind) -> int:
    """How often a unit has got the case (dispatched, or back after a reply that did not stand), or has replied."""
    replies = _count(case, Command.REPLY)
    if kind is DocumentKind.RECTIFICATION_RECEIPT:
        return replies
    standing = int(case.replied_at is not None)
    return _count(case, Command.DISPATCH) + replies - standing


def assignment_order(case: Case, names: Names, heading: Heading) -> Paper:
    """交办单. Raises Refused (`document-not-possible`) for a case that no unit is to rectify now."""
    if case.unit is None or case.due_at is None or case.dispatched_at is None:
        raise _not_possible(case, DocumentKind.ASSIGNMENT_ORDER)
    failed = _found_wanting(case)
    why = "现将下列问题交由你单位办理" if failed is None else "下列问题经核查整改不到位，现退回你单位重新整改"
    rows = [
        *_subject(case, names),
        Row(REPORT, case.text or "无"),
        Row("现场照片", f"{len(case.photos)}张"),
        *([Row("核查意见", failed.note)] if failed is not None and failed.note else []),
        Row("交办时间", _moment(case.dispatched_at)),
        Row("办理时限", Limit.parse(case.limits[Stage.RECTIFY]).chinese),
        Row("整改期限", _moment(case.due_at)),
        Row("超期扣分", f"{_number(case.points)}分"),
    ]
    return Paper(
        title=f"{names.district}创建全国文明城市问题{DocumentKind.ASSIGNMENT_ORDER.chinese}",
        number=heading.serial,
        issuer=names.office,
        date=heading.issued_at,
        addressee=names.unit,
        opening=(f"{why}，请于{_moment(case.due_at)}前完成整改，并书面回复整改情况。",),
        rows=tuple(rows),
        closing=("整改完成后请填写《整改回执》，附整改后照片，由单位负责人签字并加盖公章后报我办。",),
        notes=("不属于你单位职责的，请及时退回并书面说明理由。",),
        link=Link(heading.url, "扫码查看办理进度"),
    )


def rectification_receipt(case: Case, names: Names, heading: Heading, order: str | None) -> Paper:
    """整改回执, with room for signatures and seal; `order` is the number of the order it answers, if one was issued.

    Raises Refused (`document-not-possible`) for a case without a standing reply.
    """
    if case.unit is None or case.replied_at is None or case.dispatched_at is None:
        raise _not_possible(case, DocumentKind.RECTIFICATION_RECEIPT)
    [*_, reply] = [fact for fact in case.timeline if fact.command is Command.REPLY]
    which = f"你办{order}交办单所列问题" if order else "你办交办的下列问题"
    rows = [
        *_subject(case, names),
        Row("交办时间", _moment(case.dispatched_at)),
        Row("整改情况", reply.note),
        Row("回复时间", _moment(case.replied_at)),
        Row("整改后照片", f"{len(case.reply_photos)}张"),
        Row("承办人签字", room=SIGN),
        Row("负责人签字", room=SIGN),
    ]
    return Paper(
        title=f"{names.district}创建全国文明城市问题{DocumentKind.RECTIFICATION_RECEIPT.chinese}",
        number=heading.serial,
        issuer=names.unit,
        to_be_sealed=True,
        date=heading.issued_at,
        addressee=names.office,
        opening=(f"{which}，我单位已办理完毕，现将整改情况回复如下。",),
        rows=tuple(rows),
        link=Link(heading.url, "扫码查看办理进度"),
    )


def _subject(case: Case, names: Names) -> list[Row]:
    return [
        Row("案件编号", case.id),
        Row("问题类别", names.category),
        Row("地点", "，".join(filter(None, (names.community, case.place.address or _position(case.place))))),
    ]


def _found_wanting(case: Case) -> Fact | None:
    """The verification that sent the case back to its unit, if that is how the unit has it."""
    given = [fact for fact in case.timeline if fact.command in {Command.DISPATCH, Command.VERIFY_FAILED}]
    return given[-1] if given and given[-1].command is Command.VERIFY_FAILED else None


def _count(case: Case, command: Command) -> int:
    return sum(fact.command is command for fact in case.timeline)


def _not_possible(case: Case, kind: DocumentKind) -> Refused:
    return Refused("document-not-possible", kind=kind.value, state=case.state.value)


def _moment(at: datetime) -> str:
    at = at.astimezone(CHINA)
    return f"{at.year}年{at.month}月{at.day}日{at.hour}时{at.minute:02}分"


def _position(place: Place) -> str:
    return f"东经{place.longitude:.5f}°，北纬{place.latitude:.5f}°"


def _number(points: Decimal) -> str:
    return f"{points.normalize():f}"
