"""What the office or the discipline commission proposes for a unit's ledger, and a second person approves.

Either an entry by hand (a deduction, a bonus, a false reply 虚假整改), which becomes a fact that the rules price as
any other, or a correction: a row of the ledger is to be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.scoring.domain.acts import Act, decide
from services.scoring.domain.facts import Fact
from services.scoring.domain.rules import RuleBook
from shared.contracts.scoring import ChargeMade, FactKind, ReversalOrdered
from shared.errors import Forbidden, Invalid, Refused
from shared.own_cause import Decider

BY_HAND = (FactKind.MANUAL, FactKind.BONUS, FactKind.FALSE_REPLY)
"""Kinds of facts that people may propose."""
BASIS = "proposals/"


class ProposalState(StrEnum):
    """What became of a proposal."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class ByHand:
    """An entry by hand; `item` is the code of its ground, which rules may ask about."""

    kind: FactKind
    happened_at: datetime
    points: Decimal = Decimal(0)
    case: str = ""
    category: str = ""
    item: str | None = None


@dataclass
class Proposal:
    """An entry by hand, or (`number`) a row of the unit's ledger that is to be taken back; exactly one of the two.

    `references` are numbers or identities of papers, photos and files that prove it. `decision` is what the second
    person had to say.
    """

    id: str
    unit: str
    reason: str
    evidence: str
    references: Sequence[str]
    proposed_by: str
    proposed_at: datetime
    entry: ByHand | None = None
    number: int | None = None
    state: ProposalState = ProposalState.PROPOSED
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision: str = ""

    @property
    def basis(self) -> str:
        """What rows of the ledger name as the decision that they rest on."""
        return f"{BASIS}{self.id}"

    def approve(self, by: Decider, at: datetime, note: str = "") -> None:
        """It takes effect.

        Raises Refused (proposal-settled), Forbidden (second-person-required, decision-on-own-unit).
        """
        self._decide(ProposalState.APPROVED, by, at, note)

    def refuse(self, by: Decider, at: datetime, note: str) -> None:
        """It does not. Raises what `approve` does."""
        self._decide(ProposalState.REFUSED, by, at, note)

    def withdraw(self, by: Decider, at: datetime) -> None:
        """Whoever proposed it takes it back. Raises Refused (proposal-settled), Forbidden (proposal-of-another)."""
        self._require_open()
        if by.subject != self.proposed_by:
            raise Forbidden("proposal-of-another")
        self.state, self.decided_at = ProposalState.WITHDRAWN, at

    def fact(self, at: datetime) -> Fact | None:
        """What an entry by hand tells of the unit, once it is approved at that moment; None of a correction."""
        if self.entry is None:
            return None
        return Fact(
            id=self.basis,
            kind=self.entry.kind,
            unit=self.unit,
            matter=self.basis,
            happened_at=self.entry.happened_at,
            told_at=at,
            case=self.entry.case,
            category=self.entry.category,
            at_stake=self.entry.points,
            item=self.entry.item,
        )

    def reversal(self, at: datetime) -> ReversalOrdered | None:
        """What a correction orders, once it is approved at that moment; None of an entry by hand."""
        if self.number is None:
            return None
        return ReversalOrdered(unit=self.unit, number=self.number, basis=self.basis, happened_at=at)

    def _decide(self, state: ProposalState, by: Decider, at: datetime, note: str) -> None:
        self._require_open()
        act = Act.APPROVE_PROPOSAL if state is ProposalState.APPROVED else Act.REFUSE_PROPOSAL
        decide(act, by, units=[self.unit], people=[self.proposed_by])
        self.state, self.decided_by, self.decided_at, self.decision = state, by.subject, at, note

    def _require_open(self) -> None:
        if self.state is not ProposalState.PROPOSED:
            raise Refused("proposal-settled", state=self.state.value)


def proposal_of(basis: str) -> str | None:
    """The proposal that a row of the ledger rests on, if it rests on one."""
    return basis.removeprefix(BASIS) if basis.startswith(BASIS) else None


def priced(proposal: Proposal, book: RuleBook, at: datetime) -> list[ChargeMade]:
    """What an entry by hand will cost or earn by the rules, before any cap.

    Raises Invalid: happened-in-future, proposal-case-missing (false replies are about a case), proposal-costs-nothing
    (no rule prices it), proposal-points-unused (the rules have a price of their own).
    """
    entry = proposal.entry
    fact = proposal.fact(at)
    if entry is None or fact is None:
        return []
    if entry.happened_at > at:
        raise Invalid("happened-in-future", field="happened_at")
    if entry.kind is FactKind.FALSE_REPLY and not entry.case:
        raise Invalid("proposal-case-missing", field="case")
    charges = book.charges(fact)
    if not charges:
        raise Invalid("proposal-costs-nothing", field="points", kind=entry.kind.value)
    if entry.points and book.charges(replace(fact, at_stake=Decimal(0))) == charges:
        raise Invalid("proposal-points-unused", field="points", rule=charges[0].rule)
    return charges
