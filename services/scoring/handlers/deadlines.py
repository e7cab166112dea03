"""What the clock brings: what is due is done by the commands."""

from __future__ import annotations

from services.scoring.commands import measures
from services.scoring.commands.negative import look_for_entries
from services.scoring.resources import Resources
from shared.store import UnitOfWork


async def on_matter_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """The next rung may be due."""
    await measures.climb(uow, resources.district, resources.url_of, id)


async def on_entries_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """What a cleared event cost may be posted by now, so that it can be taken back."""
    await look_for_entries(uow, resources.store, id)


async def on_attachment_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """Nobody has claimed the attachment in time."""
    await resources.attachments.expire(uow, id)
