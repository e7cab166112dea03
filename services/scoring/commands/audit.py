"""What somebody decided, written down in the chain of what it is about, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping

from services.scoring.repo import AUDIT
from shared import audit
from shared.store import UnitOfWork


async def write_down(
    uow: UnitOfWork,
    chain: str,
    number: int,
    by: str,
    action: str,
    subject: str,
    reason: str = "",
    detail: Mapping[str, str] | None = None,
) -> None:
    """Row `number` of the chain; no names of persons in `reason` or `detail`, as a row can never be erased.

    What the chain is about counts its rows, and is saved in the same unit: so nobody else writes the same row.
    """
    previous = await uow.find(AUDIT, f"{chain}:{number - 1}")
    row = audit.append(
        previous, chain=chain, at=uow.now, who=by, action=action, subject=subject, reason=reason, detail=detail
    )
    uow.insert(AUDIT, row)
