"""What a process of reports holds besides its store."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import Request

from services.reports.commands import retention, upkeep
from services.reports.commands.audit import open_log
from services.reports.commands.catalogue import LiveCatalogue, open_catalogue
from services.reports.commands.documents import Issuing
from services.reports.commands.intake import Reference
from services.reports.district import District
from services.reports.district.templates import Templates
from services.reports.domain import PHOTO_LIMIT
from services.reports.repo.reporters import Reporters
from services.reports.settings import Settings
from services.reports.views.duplicates import Nearby
from shared import telemetry
from shared.auth import Principal
from shared.documents import Press
from shared.files import Files
from shared.http import RateLimit, Slots, client_address, subscriber
from shared.messages import Messages
from shared.roles import CENTRE, STAFF, Role
from shared.service import Runtime
from shared.store import Store
from shared.vault import Vault

log = telemetry.logger(__name__)

PROGRESS = Path(__file__).with_name("progress.json")
"""What reporters read of a case's way."""
INTAKE = CENTRE | {Role.SERVICE, Role.VERIFIER}
"""Who may file cases without the limit on strangers."""
LOOKS = 4
"""How often somebody may ask for similar cases for each report they may file: the pin is moved, words are added."""


class Limits:
    """How often strangers may do something, from one address and all together; per process."""

    def __init__(self, settings: Settings) -> None:
        self._reports = _per_minute(settings.reports_per_minute)
        self._all_reports = _per_minute(settings.reports_per_minute_overall)
        self._looks = _per_minute(LOOKS * settings.reports_per_minute)
        self._photos = _per_minute(PHOTO_LIMIT * settings.reports_per_minute)
        self.wrong_codes = _per_minute(settings.wrong_codes_per_minute)

    def report(self, request: Request, caller: Principal) -> None:
        """Somebody files or follows a case. Raises TooMany."""
        if not caller.has(*INTAKE):
            self._reports.take(subscriber(client_address(request)))
            self._all_reports.take("")

    def look(self, request: Request, caller: Principal) -> None:
        """Somebody asks what others have reported. Raises TooMany."""
        if not caller.has(*STAFF, *INTAKE):
            self._looks.take(subscriber(client_address(request)))

    def hand_in(self, request: Request, caller: Principal) -> None:
        """Somebody hands in a photo: by their account, or else from their address. Raises TooMany."""
        if not caller.has(*STAFF, *INTAKE):
            self._photos.take(f"account {caller.subject}" if caller.subject else subscriber(client_address(request)))


def _per_minute(times: float) -> RateLimit:
    return RateLimit(times / 60, max(1, int(times)))


class Resources:
    """What the service holds besides its store."""

    def __init__(
        self,
        district: District,
        catalogue: LiveCatalogue,
        templates: Templates,
        store: Store,
        settings: Settings,
    ) -> None:
        self.district = district
        self.catalogue = catalogue
        self.templates = templates
        self.exports = Slots()
        self.limits = Limits(settings)
        self.reporters = Reporters(store, Vault.of(settings.personal_keys))
        self.progress = Messages(json.loads(PROGRESS.read_text(encoding="utf-8")))
        self.files = Files(store, district.alike_bits)
        self.press = Press()
        self.issuing = Issuing(settings.portal_url)
        self.nearby = Nearby(store)
        self.reference = Reference(district, catalogue, self.nearby)


async def prepare(runtime: Runtime[Resources]) -> Resources:
    """Read the district's data, open the catalogue and what there is one of. Raises DistrictUnusable, Unavailable."""
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101  (narrows what app.py has put together)
    district = District.load(settings.district)
    catalogue, left = await open_catalogue(runtime.store, district)
    if left:
        log.info("what the office edited stays: the file has it otherwise, in no higher version", categories=left)
    await open_log(runtime.store)
    await retention.plan(runtime.store)
    await upkeep.plan(runtime.store, district)
    telemetry.WORK_CALENDAR_CERTAIN_UNTIL_TIMESTAMP_SECONDS.set(district.timetable.calendar.certain_until.timestamp())
    templates = Templates.load(settings.district, (await catalogue.current()).categories)
    return Resources(district, catalogue, templates, runtime.store, settings)
