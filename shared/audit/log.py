"""Where audit chains are kept: a row is written down in the transaction that does what it tells of.

order.changes += 1
uow.save(ORDERS, order)
await write_down(uow, f"order:{order.id}", order.changes, by=caller.subject, action="close", subject=order.id)
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.audit import AuditRow, append
from shared.store import Collection, Index, UnitOfWork

AUDIT = Collection(
    "audit",
    AuditRow,
    [Index((("chain", 1), ("number", 1)), unique=True), Index((("subject", 1), ("number", -1)))],
)
"""All audit chains of a service."""


async def write_down(
    uow: UnitOfWork,
    chain: str,
    number: int,
    *,
    by: str,
    action: str,
    subject: str,
    reason: str = "",
    detail: Mapping[str, str] | None = None,
) -> AuditRow:
    """Row `number` (from 1) of the chain: neither it nor what it tells of is there without the other.

    What the chain is about counts its rows, and is saved in the same unit: so nobody else writes the same row.
    A row can never be erased, so neither `reason` nor `detail` may hold personal data.
    """
    previous = await uow.find(AUDIT, f"{chain}:{number - 1}")
    row = append(
        previous, chain=chain, at=uow.now, who=by, action=action, subject=subject, reason=reason, detail=detail
    )
    uow.insert(AUDIT, row)
    return row
