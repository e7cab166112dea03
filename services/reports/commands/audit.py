"""The audit chain of people: one hash-chained row for whatever is done to, or seen of, those who report."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.reports.domain.person import without_contacts
from services.reports.repo import HEADS, Head
from shared.audit import GENESIS, AuditRow, Flaw, FlawKind, append, verify
from shared.audit.log import AUDIT
from shared.errors import Duplicate
from shared.store import Store, UnitOfWork

CHAIN = "people"
PIECE = 1_000
"""Rows that are verified at once."""


class Action(StrEnum):
    """What is audited."""

    OPEN_REPORTER = "open-reporter"
    ERASE = "erase"
    MODERATE = "moderate"
    BAN = "ban"
    LIFT_BAN = "lift-ban"


async def open_log(store: Store) -> None:
    """Have the log there before two can want to begin it."""

    async def command(uow: UnitOfWork) -> None:
        if await uow.find(HEADS, CHAIN) is None:
            uow.insert(HEADS, Head(CHAIN))

    with contextlib.suppress(Duplicate):
        await store.run(command)


async def record(
    uow: UnitOfWork, who: str, action: Action, subject: str, reason: str = "", detail: Mapping[str, str] | None = None
) -> AuditRow:
    """A row in the same transaction as what it tells of: neither is there without the other.

    A row can never be erased, so neither `reason` nor `detail` may hold personal data: whoever calls takes the reporter
    out; telephone numbers and addresses of mail go here.
    """
    head = await uow.find(HEADS, CHAIN)
    if head is None:
        raise LookupError("the audit log is opened when the service prepares itself")
    row = append(
        head.last,
        chain=CHAIN,
        at=uow.now,
        who=who,
        action=action.value,
        subject=subject,
        reason=without_contacts(reason),
        detail=detail,
    )
    head.last = row
    uow.save(HEADS, head)
    uow.insert(AUDIT, row)
    return row


@dataclass(frozen=True)
class Verdict:
    """A log that was looked through: its rows, the hash it ends with, and where it differs first, if it does."""

    rows: int
    head: str
    flaw: Flaw | None


async def verify_log(store: Store, kept: str | None = None) -> Verdict:
    """Whether the chain is as it was written. `kept` is a hash it ended with once, noted somewhere else.

    Rows that are appended meanwhile are left for the next time.
    """
    head = await store.get(HEADS, CHAIN)
    newest = head.last if head else None
    last: AuditRow | None = None
    recognised, at, end = kept is None, 0, newest.number if newest else 0
    while at < end:
        rows = await store.find(AUDIT, {"chain": CHAIN, "number": {"$gt": at, "$lte": end}}, [("number", 1)], PIECE)
        if not rows:
            break
        if (flaw := verify(rows, after=last)) is not None:
            return Verdict(at, _hash(newest), flaw)
        recognised = recognised or any(row.hash == kept for row in rows)
        last, at = rows[-1], rows[-1].number
    if _hash(last) != _hash(newest) or not recognised:
        return Verdict(at, _hash(newest), Flaw(at + 1, None, FlawKind.TRUNCATED))
    return Verdict(at, _hash(newest), None)


def _hash(row: AuditRow | None) -> str:
    return row.hash if row else GENESIS
