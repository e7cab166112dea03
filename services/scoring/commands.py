"""Use cases of the office."""

from __future__ import annotations

from services.scoring.domain import RuleBook
from services.scoring.repo import CURRENT, RULE_BOOKS
from shared.store import UnitOfWork


async def adopt(uow: UnitOfWork, book: RuleBook) -> None:
    """Use this edition of the rules from now on; an edition that is not newer changes nothing."""
    current = await uow.find(RULE_BOOKS, CURRENT)
    if current is None:
        uow.insert(RULE_BOOKS, book)
    elif book.version > current.version:
        uow.save(RULE_BOOKS, book)
