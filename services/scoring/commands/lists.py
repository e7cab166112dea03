"""Red and black lists through their life. Each step is a row in the list's own audit chain, numbered by its version."""

from __future__ import annotations

import secrets

from services.scoring.district import District
from services.scoring.domain.lists import Content, RedBlackList, Terms, checked, paper
from services.scoring.repo import LISTS
from shared.audit.log import write_down
from shared.clock import CHINA
from shared.own_cause import Decider
from shared.serials import next_number
from shared.store import UnitOfWork


def chain_of(id: str) -> str:
    """The audit chain of a list."""
    return f"list:{id}"


async def draft(uow: UnitOfWork, terms: Terms, content: Content, by: str) -> RedBlackList:
    """A new draft. Raises Invalid (see `checked`)."""
    drafted = RedBlackList(secrets.token_hex(8), checked(content, terms), uow.now, (by,))
    uow.insert(LISTS, drafted)
    await _audit(uow, drafted, by, "draft")
    return drafted


async def edit(uow: UnitOfWork, terms: Terms, id: str, content: Content, based_on: int, by: str) -> RedBlackList:
    """The draft with another content; `based_on` is the version that was read. Raises what `checked` and `edit` do."""
    edited = await uow.get(LISTS, id)
    edited.edit(checked(content, terms), based_on, by)
    uow.save(LISTS, edited)
    await _audit(uow, edited, by, "edit")
    return edited


async def approve(uow: UnitOfWork, id: str, based_on: int, by: Decider) -> RedBlackList:
    """The draft as it was read may be published. Raises NotFound and what `RedBlackList.approve` does."""
    approved = await uow.get(LISTS, id)
    approved.approve(based_on, by, uow.now)
    uow.save(LISTS, approved)
    await _audit(uow, approved, by.subject, "approve")
    return approved


async def publish(uow: UnitOfWork, district: District, id: str, url: str | None, by: Decider) -> RedBlackList:
    """The approved list is public, with its paper under the next number.

    Raises NotFound and what `RedBlackList.publish` does.
    """
    published = await uow.get(LISTS, id)
    kind, year = published.content.kind, uow.now.astimezone(CHINA).year
    event = published.publish(year, await next_number(uow, kind.value, year), by, uow.now)
    published.paper = paper(published, district.lists, district.name.zh, url)
    uow.save(LISTS, published, event)
    await _audit(uow, published, by.subject, "publish")
    return published


async def withdraw(uow: UnitOfWork, id: str, reason: str, by: Decider) -> RedBlackList:
    """The list does not stand any more. Raises NotFound and what `RedBlackList.withdraw` does."""
    withdrawn = await uow.get(LISTS, id)
    event = withdrawn.withdraw(reason, by, uow.now)
    uow.save(LISTS, withdrawn, *([event] if event else []))
    await _audit(uow, withdrawn, by.subject, "withdraw", withdrawn.withdrawal)
    return withdrawn


async def _audit(uow: UnitOfWork, about: RedBlackList, by: str, action: str, reason: str = "") -> None:
    await write_down(uow, chain_of(about.id), about.version, by=by, action=action, subject=about.id, reason=reason)
