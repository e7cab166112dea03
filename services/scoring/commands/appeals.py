"""Appeals of units: submitted in time, decided by a second person, withdrawn by the unit."""

from __future__ import annotations

from services.scoring.commands.proposals import contest_of, row_of
from services.scoring.commands.rules import tell_ledger
from services.scoring.domain.appeals import Appeal, AppealTerms, require_against_unit, require_in_time
from services.scoring.domain.grounds import Grounds, reason
from services.scoring.domain.ledger import entry_id
from services.scoring.domain.proposals import proposal_of
from services.scoring.repo import APPEALS, CONTESTS, ENTRIES, PROPOSALS
from shared.errors import Forbidden, Refused
from shared.own_cause import Decider
from shared.store import UnitOfWork


async def submit(
    uow: UnitOfWork,
    terms: AppealTerms,
    unit: str,
    number: int,
    grounds: Grounds,
    by: Decider,
) -> Appeal:
    """The unit appeals against a row of its own ledger.

    Raises Forbidden (appeal-of-another-unit), NotFound, Invalid (see `Grounds.checked`), Refused: appealed-before,
    entry-is-correction, entry-taken-back, entry-costs-nothing, appeal-too-late.
    """
    if by.unit != unit:
        raise Forbidden("appeal-of-another-unit")
    if await uow.find(APPEALS, entry_id(unit, number)) is not None:
        raise Refused("appealed-before", number=number)
    row = await row_of(uow, unit, number)
    require_against_unit(row)
    require_in_time(row, terms, uow.now)
    about, why = (row.id, unit, number, row.rule, row.period), grounds.checked()
    made = Appeal(*about, why.reason, why.evidence, why.references, by.subject, uow.now, terms.due_at(uow.now))
    uow.insert(APPEALS, made)
    await _mark(uow, made, appealed=True)
    return made


async def uphold(uow: UnitOfWork, id: str, by: Decider, why: str) -> Appeal:
    """The unit is right: its ledger is told to take the row back.

    Raises NotFound, Refused (see `Appeal.uphold`).
    """
    found = await uow.get(APPEALS, id)
    order = found.uphold(by, await _others(uow, found), uow.now, reason(why))
    uow.save(APPEALS, found)
    contest = await contest_of(uow, id)
    contest.appealed, contest.taken_back_by = False, found.basis
    uow.save(CONTESTS, contest)
    await tell_ledger(uow, f"{found.basis}:{found.unit}", order)
    return found


async def reject(uow: UnitOfWork, id: str, by: Decider, why: str) -> Appeal:
    """The row stays. Raises NotFound, Refused (see `Appeal.uphold`)."""
    found = await uow.get(APPEALS, id)
    found.reject(by, await _others(uow, found), uow.now, reason(why))
    uow.save(APPEALS, found)
    await _mark(uow, found, appealed=False)
    return found


async def withdraw(uow: UnitOfWork, id: str, by: Decider) -> Appeal:
    """Raises NotFound, Refused (appeal-settled), Forbidden (appeal-of-another-unit)."""
    found = await uow.get(APPEALS, id)
    found.withdraw(by, uow.now)
    uow.save(APPEALS, found)
    await _mark(uow, found, appealed=False)
    return found


async def _mark(uow: UnitOfWork, appeal: Appeal, appealed: bool) -> None:
    contest = await contest_of(uow, appeal.id)
    contest.appealed = appealed
    uow.save(CONTESTS, contest)


async def _others(uow: UnitOfWork, appeal: Appeal) -> list[str]:
    """Who had a part in the row: nobody in one that a rule made of an event."""
    row = await uow.get(ENTRIES, appeal.id)
    id = proposal_of(row.basis)
    proposal = await uow.find(PROPOSALS, id) if id else None
    return [] if proposal is None else [who for who in (proposal.proposed_by, proposal.decided_by) if who]
