"""What can be reported, as the office goes on deciding it: seeded from the district's file, edited since.

A category is never overwritten: each change is a version of its own, told in an audit chain whose rows are numbered
by the catalogue's edition. Cases keep what they were filed under.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from services.reports.district import District
from services.reports.domain import Actor, Catalogue, CatalogueHead, Category, CategoryVersion
from services.reports.domain.catalogue import changed, checked, tidied, version_id
from services.reports.repo import CATALOGUES, CATEGORY_VERSIONS, CURRENT
from shared.audit.log import write_down
from shared.errors import Duplicate, NotFound, Refused, Unavailable
from shared.store import Store, UnitOfWork

CHAIN = "catalogue"
FILE = "categories.json"
"""Who made the versions that came with the district's file."""
ADOPT_TRIES = 8
LOOK_AGAIN = 1.0
"""Seconds after which a process that uses its catalogue asks whether there is a newer edition."""


async def adopt(uow: UnitOfWork, categories: Iterable[Category]) -> list[str]:
    """Put to use what the district's file has in a higher version; what the office edited since stays.

    Answers the codes of categories that the file has otherwise, but not in a higher version.
    """
    head = await uow.find(CATALOGUES, CURRENT)
    if head is None:
        head = CatalogueHead(CURRENT)
        uow.insert(CATALOGUES, head)
    in_use = await uow.load(CATEGORY_VERSIONS, [version_id(*each) for each in head.versions.items()])
    newer: dict[str, str] = {}
    other: list[str] = []
    for category in categories:
        used = in_use.get(head.id_of(category.code) or "")
        if used is None or category.version > used.category.version:
            _put_to_use(uow, head, category, FILE)
            newer[category.code] = str(category.version)
        elif changed(tidied(category), tidied(used.category)):
            other.append(category.code)
    if newer:
        await _save(uow, head, FILE, "adopt", FILE, newer)
    return other


async def change(uow: UnitOfWork, district: District, wanted: Category, based_on: int, by: Actor) -> CategoryVersion:
    """A new version of a category with the content of `wanted`; with nothing new in it, the one in use.

    Raises NotFound, Refused (category-stale: `based_on` is not the version in use), Invalid (see `faults`).
    """
    head, used = await _in_use(uow, wanted.code, based_on)
    number = used.category.version
    wanted = checked(replace(wanted, retired=used.category.retired), district.category_groups, district.units)
    if not (differing := changed(wanted, tidied(used.category))):
        return used
    made = _put_to_use(uow, head, replace(wanted, version=number + 1), by.subject)
    await _save(uow, head, by.subject, "change", made.id, {"fields": ", ".join(differing)})
    return made


async def create(uow: UnitOfWork, district: District, wanted: Category, by: Actor) -> CategoryVersion:
    """A category that was not there before. Raises Refused (category-exists), Invalid (see `faults`)."""
    wanted = checked(replace(wanted, version=1), district.category_groups, district.units)
    head = await _head(uow)
    if wanted.code in head.versions:
        raise Refused("category-exists", field="code", given=wanted.code)
    made = _put_to_use(uow, head, wanted, by.subject)
    await _save(uow, head, by.subject, "create", made.id, {})
    return made


async def retire(uow: UnitOfWork, code: str, retired: bool, based_on: int, by: Actor) -> CategoryVersion:
    """The category takes no new cases any more, or takes them again. Raises NotFound, Refused (category-stale)."""
    head, used = await _in_use(uow, code, based_on)
    if used.category.retired is retired:
        return used
    made = _put_to_use(
        uow, head, replace(used.category, version=used.category.version + 1, retired=retired), by.subject
    )
    await _save(uow, head, by.subject, "retire" if retired else "restore", made.id, {})
    return made


class LiveCatalogue:
    """The catalogue that this process works by: in memory, and at most about a second behind the database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held = Catalogue(0, {})
        self._looked = float("-inf")

    async def current(self, *, fresh: bool = False) -> Catalogue:
        """The catalogue, perhaps a second old unless `fresh`; older while the database does not answer."""
        if fresh or time.monotonic() - self._looked >= LOOK_AGAIN:
            with suppress(Unavailable):
                await self.look()
        return self._held

    async def look(self) -> None:
        """Read what has changed. Raises Unavailable."""
        self._looked = time.monotonic()
        head = await self._store.get(CATALOGUES, CURRENT)
        if head is None or head.edition <= self._held.edition:
            return
        held = self._held.categories
        lacking = [
            version_id(code, version)
            for code, version in head.versions.items()
            if code not in held or held[code].version != version
        ]
        found = await self._store.find(CATEGORY_VERSIONS, {"_id": {"$in": lacking}})
        newer = {each.category.code: each.category for each in found}
        if head.edition > self._held.edition:  # nobody was faster meanwhile
            self._held = Catalogue(head.edition, {code: newer.get(code) or held[code] for code in head.versions})


async def open_catalogue(store: Store, district: District) -> tuple[LiveCatalogue, list[str]]:
    """The catalogue of a process that starts, after what is new in the file was put to use.

    Answers also the codes that `adopt` has left as the office made them.
    """
    left = await _adopted(store, district)
    live = LiveCatalogue(store)
    await live.look()
    return live, left


async def _adopted(store: Store, district: District) -> list[str]:
    for _ in range(ADOPT_TRIES):
        # Another process of ours that starts at the same time may be faster: then see what it left to do.
        with suppress(Duplicate):
            return await store.run(lambda uow: adopt(uow, district.categories.values()))
    raise Unavailable("the catalogue keeps being changed by others")


async def _head(uow: UnitOfWork) -> CatalogueHead:
    head = await uow.find(CATALOGUES, CURRENT)
    if head is None:
        raise Unavailable("the catalogue is not there yet")
    return head


async def _in_use(uow: UnitOfWork, code: str, based_on: int) -> tuple[CatalogueHead, CategoryVersion]:
    head = await _head(uow)
    id = head.id_of(code)
    used = await uow.find(CATEGORY_VERSIONS, id) if id else None
    if used is None:
        raise NotFound("categories-not-found", id=code)
    if used.category.version != based_on:
        raise Refused("category-stale", field="based_on", current=used.category.version)
    return head, used


def _put_to_use(uow: UnitOfWork, head: CatalogueHead, category: Category, by: str) -> CategoryVersion:
    made = CategoryVersion(version_id(category.code, category.version), category, uow.now, by)
    uow.insert(CATEGORY_VERSIONS, made)
    head.versions[category.code] = category.version
    return made


async def _save(
    uow: UnitOfWork, head: CatalogueHead, by: str, action: str, subject: str, detail: dict[str, str]
) -> None:
    head.edition += 1
    uow.save(CATALOGUES, head)
    await write_down(uow, CHAIN, head.edition, by=by, action=action, subject=subject, detail=detail)
