"""Appeals (申诉) of units against rows of their own ledgers: in time, one per row, decided by somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.scoring.domain.acts import Act, decide
from services.scoring.domain.ledger import Entry, Ledger, Standing
from shared.clock import CHINA
from shared.contracts.scoring import ReversalOrdered
from shared.district.names import Name
from shared.errors import Forbidden, Refused
from shared.own_cause import Decider
from shared.workdays import Limit, WorkCalendar


@dataclass(frozen=True)
class AppealTerms:
    """Until when a unit may appeal, counted from the posting of the row, and until when that is to be decided."""

    appeal_within: Limit
    decide_within: Limit
    calendar: WorkCalendar

    def open_until(self, entry: Entry) -> datetime | None:
        """Until when the row may be appealed against (UTC); None: the calendar does not reach that far yet."""
        return self._ends(entry.posted_at, self.appeal_within)

    def due_at(self, submitted_at: datetime) -> datetime | None:
        """Until when an appeal is to be decided (UTC); None: the calendar does not reach that far yet."""
        return self._ends(submitted_at, self.decide_within)

    def _ends(self, start: datetime, limit: Limit) -> datetime | None:
        # A year that the office has yet to add to its calendar must not cost a unit its appeal.
        end = self.calendar.add(start, limit)
        return end if self.calendar.knows(end) else None


class AppealState(StrEnum):
    """What became of an appeal."""

    SUBMITTED = "submitted"
    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass
class Appeal:
    """A unit's appeal against a row of its ledger; the identity is the row's, so there is one of each at most.

    `rule` and `period` are the row's. `due_at`: until when it is to be decided. `decision` is why it was decided so.
    """

    id: str
    unit: str
    number: int
    rule: str
    period: str
    reason: str
    evidence: str
    references: Sequence[str]
    submitted_by: str
    submitted_at: datetime
    due_at: datetime | None = None
    state: AppealState = AppealState.SUBMITTED
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision: str = ""

    @property
    def basis(self) -> str:
        """What the row that takes the other back names as the decision that it rests on."""
        return f"appeals/{self.id}"

    def uphold(self, by: Decider, others: Iterable[str], at: datetime, why: str) -> ReversalOrdered:
        """The unit is right: what is to be told to its ledger. `others` had a part in the row itself.

        Raises Refused (appeal-settled), Forbidden (second-person-required, decision-on-own-unit).
        """
        self._decide(AppealState.UPHELD, by, others, at, why)
        return ReversalOrdered(unit=self.unit, number=self.number, basis=self.basis, happened_at=at)

    def reject(self, by: Decider, others: Iterable[str], at: datetime, why: str) -> None:
        """The row stays. Raises what `uphold` does."""
        self._decide(AppealState.REJECTED, by, others, at, why)

    def withdraw(self, by: Decider, at: datetime) -> None:
        """The unit thinks better of it. Raises Refused (appeal-settled), Forbidden (appeal-of-another-unit)."""
        self._require_open()
        if by.unit != self.unit:
            raise Forbidden("appeal-of-another-unit")
        self.state, self.decided_by, self.decided_at = AppealState.WITHDRAWN, by.subject, at

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been decided by now."""
        return self.state is AppealState.SUBMITTED and self.due_at is not None and self.due_at < now

    def _decide(self, state: AppealState, by: Decider, others: Iterable[str], at: datetime, why: str) -> None:
        self._require_open()
        act = Act.UPHOLD_APPEAL if state is AppealState.UPHELD else Act.REJECT_APPEAL
        decide(act, by, units=[self.unit], people=[self.submitted_by, *others])
        self.state, self.decided_by, self.decided_at, self.decision = state, by.subject, at, why

    def _require_open(self) -> None:
        if self.state is not AppealState.SUBMITTED:
            raise Refused("appeal-settled", state=self.state.value)


@dataclass
class Contest:
    """What is going on about one row of a ledger; the identity is the row's.

    Whoever corrects the row or decides on an appeal against it changes this, so that no two do it at once.
    `correction` is a proposal that waits for its second person, `taken_back_by` the decision that the row goes.
    """

    id: str
    correction: str | None = None
    appealed: bool = False
    taken_back_by: str | None = None


class Next(StrEnum):
    """What comes next for a row of a unit's ledger."""

    MAY_APPEAL = "may-appeal"
    TO_BE_DECIDED = "to-be-decided"
    TO_BE_TAKEN_BACK = "to-be-taken-back"
    TAKEN_BACK = "taken-back"
    STANDS = "stands"

    @property
    def words(self) -> Name:
        """What the unit reads."""
        return _WORDS[self]


_WORDS = {
    Next.MAY_APPEAL: Name("可在期限内申诉一次", "May be appealed against, once, in time"),
    Next.TO_BE_DECIDED: Name(
        "申诉待裁定，裁定前暂按原分值计", "The appeal is to be decided; until then the row counts"
    ),
    Next.TO_BE_TAKEN_BACK: Name(
        "已决定撤销，即将冲回", "It is decided that the row is taken back; that is about to show"
    ),
    Next.TAKEN_BACK: Name("已冲回", "Taken back"),
    Next.STANDS: Name("维持", "The row stands"),
}


def require_against_unit(entry: Entry) -> None:
    """Only what costs a unit something, or would but for a cap, can be appealed against, and no correction.

    Raises Refused (entry-is-correction, entry-costs-nothing).
    """
    if entry.reverses is not None:
        raise Refused("entry-is-correction", number=entry.number, corrects=entry.reverses)
    if (entry.points if entry.claimed is None else entry.claimed) <= 0:
        raise Refused("entry-costs-nothing", number=entry.number)


def require_in_time(entry: Entry, terms: AppealTerms, now: datetime) -> None:
    """Raises Refused (appeal-too-late)."""
    until = terms.open_until(entry)
    if until is not None and now > until:
        raise Refused("appeal-too-late", until=f"{until.astimezone(CHINA):%Y-%m-%d %H:%M}")


def next_of(
    entry: Entry, contest: Contest | None, appeal: Appeal | None, taken_back: bool, terms: AppealTerms, now: datetime
) -> Next:
    """What comes next for a row."""
    if taken_back:
        return Next.TAKEN_BACK
    if contest is not None and contest.taken_back_by is not None:
        return Next.TO_BE_TAKEN_BACK
    if appeal is not None:
        return Next.TO_BE_DECIDED if appeal.state is AppealState.SUBMITTED else Next.STANDS
    try:
        require_against_unit(entry)
        require_in_time(entry, terms, now)
    except Refused:
        return Next.STANDS
    return Next.MAY_APPEAL


def if_upheld(
    ledger: Ledger, standings: Mapping[str, Standing], rows: Iterable[Entry], at: datetime
) -> dict[str, Standing]:
    """A unit's standings by month, were these rows of its ledger taken back at that moment; nothing given is changed.

    `standings` has those of the months that the rows belong to, and any others of interest. What a frozen month lost
    comes back in the first that is not.
    """
    ledger, after = deepcopy(ledger), deepcopy(dict(standings))
    for entry in rows:
        origin = after.setdefault(entry.origin, Standing.of(ledger.id, entry.origin))
        row = ledger.reverse(entry, origin, "", at, at)
        after.setdefault(row.period, Standing.of(ledger.id, row.period)).count(row)
    return after
