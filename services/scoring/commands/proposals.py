"""Entries by hand and corrections: proposed by one person, approved by another."""

from __future__ import annotations

import secrets

from services.scoring.commands.rules import record, tell_ledger
from services.scoring.domain.appeals import Contest
from services.scoring.domain.grounds import REFERENCE_LIMIT, Grounds, reason
from services.scoring.domain.ledger import Entry, entry_id
from services.scoring.domain.proposals import ByHand, Proposal, priced
from services.scoring.repo import CONTESTS, CURRENT, ENTRIES, PROPOSALS, REVERSALS, RULE_BOOKS
from shared.clock import CHINA
from shared.contracts.scoring import ChargeMade
from shared.errors import NotFound, Refused
from shared.own_cause import Decider
from shared.store import UnitOfWork
from shared.writing import plain_text

ID_BYTES = 5


async def propose_entry(
    uow: UnitOfWork, unit: str, entry: ByHand, grounds: Grounds, by: Decider
) -> tuple[Proposal, list[ChargeMade]]:
    """Also what it will cost or earn before any cap. Raises Invalid (see `priced`, `Grounds.checked`)."""
    why = grounds.checked()
    plain_text(entry.item or "", "item", REFERENCE_LIMIT)
    about = (why.reason, why.evidence, why.references)
    made = Proposal(_new_id(uow), unit, *about, by.subject, uow.now, entry=entry)
    charges = priced(made, await uow.get(RULE_BOOKS, CURRENT), uow.now)
    uow.insert(PROPOSALS, made)
    return made, charges


async def propose_correction(uow: UnitOfWork, unit: str, number: int, grounds: Grounds, by: Decider) -> Proposal:
    """Raises NotFound, Invalid (see `Grounds.checked`), Refused: see `_free_row`; correction-pending."""
    why = grounds.checked()
    contest = await _free_row(uow, unit, number)
    if contest.correction is not None:
        raise Refused("correction-pending", number=number, proposal=contest.correction)
    about = (why.reason, why.evidence, why.references)
    made = Proposal(_new_id(uow), unit, *about, by.subject, uow.now, number=number)
    contest.correction = made.id
    uow.save(CONTESTS, contest)
    uow.insert(PROPOSALS, made)
    return made


async def approve(uow: UnitOfWork, id: str, by: Decider, note: str) -> Proposal:
    """It takes effect: a fact is recorded, or the unit's ledger is told to take the row back.

    Raises NotFound, Refused: see `Proposal.approve` and, for a correction, `_free_row`.
    """
    found = await uow.get(PROPOSALS, id)
    found.approve(by, uow.now, reason(note, "note", required=False))
    uow.save(PROPOSALS, found)
    if (fact := found.fact(uow.now)) is not None:
        await record(uow, fact)
    if found.number is not None and (order := found.reversal(uow.now)) is not None:
        contest = await _free_row(uow, found.unit, found.number)
        contest.correction, contest.taken_back_by = None, found.basis
        uow.save(CONTESTS, contest)
        await tell_ledger(uow, f"{found.basis}:{found.unit}", order)
    return found


async def refuse(uow: UnitOfWork, id: str, by: Decider, note: str) -> Proposal:
    """Raises NotFound, Refused (see `Proposal.refuse`)."""
    found = await uow.get(PROPOSALS, id)
    found.refuse(by, uow.now, reason(note, "note"))
    await _drop(uow, found)
    return found


async def withdraw(uow: UnitOfWork, id: str, by: Decider) -> Proposal:
    """Raises NotFound, Refused (proposal-settled), Forbidden (proposal-of-another)."""
    found = await uow.get(PROPOSALS, id)
    found.withdraw(by, uow.now)
    await _drop(uow, found)
    return found


async def row_of(uow: UnitOfWork, unit: str, number: int) -> Entry:
    """Row `number` of a unit's ledger, when it can be taken back.

    Raises NotFound, Refused (entry-is-correction, entry-taken-back).
    """
    id = entry_id(unit, number)
    entry = await uow.find(ENTRIES, id)
    if entry is None:
        raise NotFound("entries-not-found", unit=unit, number=number)
    if entry.reverses is not None:
        raise Refused("entry-is-correction", number=number, corrects=entry.reverses)
    contest = await uow.find(CONTESTS, id)
    if await uow.find(REVERSALS, id) is not None or (contest is not None and contest.taken_back_by is not None):
        raise Refused("entry-taken-back", number=number)
    return entry


async def contest_of(uow: UnitOfWork, id: str) -> Contest:
    """What is going on about a row."""
    contest = await uow.find(CONTESTS, id)
    if contest is None:
        contest = Contest(id)
        uow.insert(CONTESTS, contest)
    return contest


async def _free_row(uow: UnitOfWork, unit: str, number: int) -> Contest:
    """Raises what `row_of` raises, and Refused (appeal-pending): then whoever decides on the appeal decides."""
    row = await row_of(uow, unit, number)
    contest = await contest_of(uow, row.id)
    if contest.appealed:
        raise Refused("appeal-pending", number=number)
    return contest


async def _drop(uow: UnitOfWork, proposal: Proposal) -> None:
    uow.save(PROPOSALS, proposal)
    if proposal.number is not None:
        contest = await contest_of(uow, entry_id(proposal.unit, proposal.number))
        contest.correction = None
        uow.save(CONTESTS, contest)


def _new_id(uow: UnitOfWork) -> str:
    return f"{uow.now.astimezone(CHINA):%Y%m%d}-{secrets.token_hex(ID_BYTES).upper()}"
