"""The office's rules, and what they make of a fact.

The book is never overwritten: an edition adds versions of rules to it, which take effect from a day to come, and is
told in an audit chain whose rows are numbered by the editions.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from services.scoring.domain.acts import Act, decide
from services.scoring.domain.drafts import Draft, DraftState, Edition, fingerprint
from services.scoring.domain.facts import Fact
from services.scoring.domain.ledger import ChargeCount
from services.scoring.domain.rules import Rule, RuleBook
from services.scoring.domain.writing import day_of
from services.scoring.repo import CHARGES, CURRENT, FACTS, RULE_BOOKS, RULE_DRAFTS, RULE_EDITIONS
from shared.audit.log import write_down
from shared.contracts.event_model import EventModel
from shared.errors import Refused
from shared.own_cause import EVERY_UNIT, Decider
from shared.store import UnitOfWork
from shared.writing import plain_text

CHAIN = "rules"
REASON_LIMIT = 500
FILE = "scoring-rules.json"
"""Who made the editions that came with the district's file."""


async def adopt(uow: UnitOfWork, book: RuleBook) -> list[str]:
    """Put to use what the district's file has in a higher version and from a day to come; the rest of the book stays.

    Where there is no book yet, the file's is the first edition, whenever it takes effect. Answers the codes of rules
    that the file has otherwise, but which are not adopted.
    """
    current = await uow.find(RULE_BOOKS, CURRENT)
    if current is None:
        first = RuleBook(CURRENT, 1, book.rules)
        uow.insert(RULE_BOOKS, first)
        await _tell(uow, Edition("1", 1, book.rules, "", FILE, uow.now))
        return []
    there = {(rule.code, rule.version): rule for rule in current.rules}
    other = [rule for rule in book.rules if there.get((rule.code, rule.version)) != rule]
    today = day_of(uow.now)
    newer = [rule for rule in other if rule.version > current.newest(rule.code) and rule.effective_from > today]
    if newer:
        edition = RuleBook(CURRENT, current.version + 1, [*current.rules, *newer])
        uow.save(RULE_BOOKS, edition)
        await _tell(uow, Edition(str(edition.version), edition.version, newer, "", FILE, uow.now))
    return sorted({rule.code for rule in other if rule not in newer})


async def draft(uow: UnitOfWork, based_on: int, reason: str, rules: Sequence[Rule], by: str) -> Draft:
    """Write down further versions of rules. Raises Refused (rules-stale), Invalid (see `RuleBook.edited`)."""
    await _edited(uow, based_on, rules)
    reason = plain_text(reason, "reason", REASON_LIMIT, required=True)
    made = Draft(secrets.token_hex(8), based_on, reason, rules, by, uow.now, by, uow.now)
    uow.insert(RULE_DRAFTS, made)
    return made


async def redraft(
    uow: UnitOfWork, id: str, revision: int, based_on: int, reason: str, rules: Sequence[Rule], by: str
) -> Draft:
    """Write them anew.

    Raises NotFound, Refused (rule-draft-settled, rule-draft-stale, rules-stale), Invalid (see `RuleBook.edited`).
    """
    found = await uow.get(RULE_DRAFTS, id)
    found.change(revision, based_on, plain_text(reason, "reason", REASON_LIMIT, required=True), rules, by, uow.now)
    await _edited(uow, based_on, rules)
    uow.save(RULE_DRAFTS, found)
    return found


async def discard(uow: UnitOfWork, id: str, revision: int, by: str) -> Draft:
    """It comes to nothing. Raises NotFound, Refused (rule-draft-settled, rule-draft-stale)."""
    found = await uow.get(RULE_DRAFTS, id)
    found.settle(revision, DraftState.DISCARDED, by, uow.now)
    uow.save(RULE_DRAFTS, found)
    return found


async def put_to_use(uow: UnitOfWork, id: str, revision: int, by: Decider) -> Draft:
    """Add what was drafted to the book; what happens from its days on is charged by it.

    Raises NotFound, Refused (rule-draft-settled, rule-draft-stale; rules-stale: the book has changed since it was
    written), Forbidden (second-person-required, decision-on-own-unit), Invalid (see `RuleBook.edited`: its day has come
    meanwhile).
    """
    found = await uow.get(RULE_DRAFTS, id)
    found.require(revision)
    decide(Act.USE_RULES, by, units=EVERY_UNIT, people=[found.made_by, found.changed_by])
    book, edition = await _edited(uow, found.based_on, found.rules)
    uow.save(RULE_BOOKS, edition)
    found.settle(revision, DraftState.USED, by.subject, uow.now, edition.version)
    uow.save(RULE_DRAFTS, found)
    added = edition.rules[len(book.rules) :]
    await _tell(uow, Edition(str(edition.version), edition.version, added, found.reason, by.subject, uow.now, id))
    return found


async def record(uow: UnitOfWork, fact: Fact) -> int:
    """Keep the fact, and charge its unit by the rules that were in force when it happened: how many charges came of it.

    Told again, nothing comes of it.
    """
    if await uow.find(FACTS, fact.id) is not None:
        return 0
    uow.insert(FACTS, fact)
    return await charge(uow, fact)


async def charge(uow: UnitOfWork, fact: Fact) -> int:
    """Charge the unit of a fact that is kept; only for who has just laid it to the unit."""
    book = await uow.get(RULE_BOOKS, CURRENT)
    charges = book.charges(fact)
    for each in charges:
        await tell_ledger(uow, fact.about, each)
    return len(charges)


async def tell_ledger(uow: UnitOfWork, about: str, order: EventModel) -> None:
    """Send something to a unit's ledger; `about` is `<matter>:<unit>`, of which each telling is numbered."""
    charges = await uow.find(CHARGES, about)
    if charges is None:
        charges = ChargeCount(about)
        uow.insert(CHARGES, charges)
    charges.times += 1
    uow.save(CHARGES, charges, order)


async def _edited(uow: UnitOfWork, based_on: int, rules: Sequence[Rule]) -> tuple[RuleBook, RuleBook]:
    """The book, and the edition that would follow."""
    book = await uow.get(RULE_BOOKS, CURRENT)
    if based_on != book.version:
        raise Refused("rules-stale", field="based_on", current=book.version)
    return book, book.edited(rules, day_of(uow.now))


async def _tell(uow: UnitOfWork, edition: Edition) -> None:
    uow.insert(RULE_EDITIONS, edition)
    added = {f"{rule.code}@{rule.version}": fingerprint(rule) for rule in edition.rules}
    await write_down(
        uow, CHAIN, edition.number, by=edition.made_by, action="put-to-use", subject=edition.id, detail=added
    )
