"""What a process of scoring holds besides its store."""

from __future__ import annotations

from contextlib import suppress

from services.scoring.commands import negative, responsibility
from services.scoring.commands.rules import adopt
from services.scoring.commands.schemes import adopt_edition
from services.scoring.district import District
from services.scoring.domain.ladder import Cause
from services.scoring.settings import Settings
from services.scoring.views.what_if import WhatIfSlot
from shared import telemetry
from shared.attachments import Attachments
from shared.documents import Press
from shared.errors import Duplicate
from shared.http import Slots
from shared.service import Runtime
from shared.signing import Signer
from shared.store import Store

log = telemetry.logger(__name__)


class Resources:
    """What the service holds besides its store."""

    def __init__(self, district: District, signer: Signer, portal_url: str, store: Store) -> None:
        self.district = district
        self.signer = signer
        self.portal_url = portal_url.rstrip("/")
        self.press = Press()
        self.store = store
        self.attachments = Attachments(store)
        self.what_ifs = WhatIfSlot()
        # Anybody may take the ledgers along, so that a few slow readers must not keep the others from it.
        self.exports = Slots(8)

    def url_of(self, cause: Cause) -> str:
        """Where a paper's code leads: to the case, if there is one, or to the portal."""
        return f"{self.portal_url}/cases/{cause.case}" if cause.case else self.portal_url


async def prepare(runtime: Runtime[Resources]) -> Resources:
    """Read the district's data and put to use what is new in it.

    Raises OSError, ValueError, Invalid, Refused (scheme-day-taken).
    """
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101  (narrows what app.py has put together)
    district = District.load(settings.district)
    with suppress(Duplicate):  # another process of ours was faster
        if left := await runtime.store.run(lambda uow: adopt(uow, district.rule_book)):
            log.info("the book stays: the file has rules otherwise, but not newer and from a day to come", rules=left)
    with suppress(Duplicate):
        if not await runtime.store.run(lambda uow: adopt_edition(uow, district.edition)):
            log.warning("the scheme of the file is not adopted: raise its version", version=district.edition.version)
    with suppress(Duplicate):
        await runtime.store.run(lambda uow: responsibility.adopt(uow, district.responsibility))
    with suppress(Duplicate):
        await runtime.store.run(lambda uow: negative.adopt(uow, district.negative_list))
    return Resources(district, Signer.of(settings.seal_key), settings.portal_url, runtime.store)
