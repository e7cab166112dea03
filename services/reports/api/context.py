"""What the routes of reports share: who may call, and what the service holds besides its store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from services.reports import documents, photos
from services.reports.commands.audit import open_log
from services.reports.commands.catalogue import LiveCatalogue, open_catalogue
from services.reports.commands.duplicates import Nearby
from services.reports.commands.retention import plan
from services.reports.district import District
from services.reports.domain import PHOTO_LIMIT, Actor, Side
from services.reports.reporters import Reporters
from services.reports.settings import Settings
from services.reports.templates import Templates
from services.reports.views import STAFF
from shared import telemetry
from shared.auth import Principal, anyone, require
from shared.http import RateLimit, Slots, client_address, subscriber
from shared.messages import Messages
from shared.roles import CENTRE, UNIT, Role
from shared.service import Runtime, runtime_of
from shared.store import Store
from shared.vault import Vault

log = telemetry.logger(__name__)

Anyone = Annotated[Principal, Depends(anyone())]
Unit = Annotated[Principal, Depends(require(*UNIT, *CENTRE))]
Checker = Annotated[Principal, Depends(require(Role.VERIFIER, *CENTRE))]
Centre = Annotated[Principal, Depends(require(*CENTRE))]
Leader = Annotated[Principal, Depends(require(Role.LEADER))]
Decider = Annotated[Principal, Depends(require(*CENTRE, Role.LEADER))]
Handler = Annotated[Principal, Depends(require(*UNIT, *CENTRE))]
Resumer = Annotated[Principal, Depends(require(*UNIT, *CENTRE, Role.LEADER))]
Insider = Annotated[Principal, Depends(require(*UNIT, Role.VERIFIER, *CENTRE, Role.LEADER))]
Editor = Annotated[Principal, Depends(require(Role.OFFICE))]
Known = Annotated[Principal, Depends(require(*UNIT, *STAFF))]
Somebody = Annotated[Principal, Depends(require())]
Opener = Annotated[Principal, Depends(require(*CENTRE, Role.LIAISON))]
Auditor = Annotated[Principal, Depends(require(Role.DISCIPLINE, Role.OPERATOR))]
Keeper = Annotated[Principal, Depends(require(Role.OFFICE, Role.DISCIPLINE, Role.OPERATOR))]
Admin = Annotated[Principal, Depends(require(Role.OPERATOR))]
FORBIDDEN: dict[int | str, dict[str, Any]] = {403: {"$ref": "#/components/responses/Forbidden"}}
"""What a route says that is for everybody, though not with everything."""
MISSING: dict[int | str, dict[str, Any]] = {404: {"$ref": "#/components/responses/NotFound"}}
"""What a route says that is told in its body, not in its path, what it is about."""
WORDS = Path(__file__).parents[1] / "words.json"
"""What reporters read of a case's way."""
INTAKE = (Role.DISPATCHER, Role.OFFICE, Role.SERVICE, Role.VERIFIER)
"""Who may file cases without the limit on strangers."""


def actor_of(caller: Principal) -> Actor:
    """In which capacities the caller acts: the centre's people also for the unit they belong to, others as said.

    Whoever belongs to no unit acts for none: an officer without one can do nothing to a case. Who is nothing of all
    that is a reporter, whose account is nobody's business.
    """
    sides = {side for role, given in _SIDES.items() if caller.has(role) for side in given}
    if not sides:
        return Actor(frozenset({Side.REPORTER}))
    if caller.unit is None:
        sides.discard(Side.UNIT)
    return Actor(frozenset(sides), caller.unit, caller.subject)


_SIDES = {
    Role.OFFICER: (Side.UNIT,),
    Role.LIAISON: (Side.UNIT,),
    Role.VERIFIER: (Side.CHECKER,),
    Role.OFFICE: (Side.CENTRE, Side.CHECKER, Side.UNIT),
    Role.DISPATCHER: (Side.CENTRE, Side.CHECKER, Side.UNIT),
    Role.LEADER: (Side.LEADER,),
}


LOOKS = 4
"""How often somebody may ask for similar cases for each report they may file: the pin is moved, words are added."""


class Intake:
    """The limits on cases that strangers file and ask for: from one address, and from all together; per process."""

    def __init__(self, settings: Settings) -> None:
        self._of_one = _per_minute(settings.reports_per_minute)
        self._of_all = _per_minute(settings.reports_per_minute_overall)
        self._looks = _per_minute(LOOKS * settings.reports_per_minute)

    def admit(self, request: Request, caller: Principal) -> None:
        """Raises TooMany."""
        if not caller.has(*INTAKE):
            self._of_one.take(subscriber(client_address(request)))
            self._of_all.take("")

    def look(self, request: Request, caller: Principal) -> None:
        """Raises TooMany."""
        if not caller.has(*STAFF, *INTAKE):
            self._looks.take(subscriber(client_address(request)))


def _per_minute(times: float) -> RateLimit:
    return RateLimit(times / 60, max(1, int(times)))


class Own:
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
        self.intake = Intake(settings)
        self.wrong_codes = _per_minute(settings.wrong_codes_per_minute)
        self.reporters = Reporters(store, Vault.of(settings.personal_keys))
        self.words = Messages(json.loads(WORDS.read_text(encoding="utf-8")))
        self.photos = photos.Desk(store, PHOTO_LIMIT * settings.reports_per_minute, district.alike_bits)
        self.documents = documents.Desk(settings.portal_url)
        self.nearby = Nearby(store)


async def prepare(runtime: Runtime) -> Own:
    """Read the district's data, open the catalogue and what there is one of. Raises DistrictUnusable, Unavailable."""
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101  (narrows what app.py has put together)
    district = District.load(settings.district)
    catalogue, left = await open_catalogue(runtime.store, district)
    if left:
        log.info("what the office edited stays: the file has it otherwise, in no higher version", categories=left)
    await open_log(runtime.store)
    await plan(runtime.store)
    templates = Templates.load(settings.district, (await catalogue.current()).categories)
    return Own(district, catalogue, templates, runtime.store, settings)


def own_of(request: Request) -> Own:
    """What `prepare` made. Raises Unavailable until then."""
    own: Own = runtime_of(request).own
    return own
