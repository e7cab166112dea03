"""What a process of the portal holds besides its store."""

from __future__ import annotations

import time
from typing import cast

from fastapi import Request

from services.portal.clients.catalogue import LiveCatalogue
from services.portal.clients.reports import Reports
from services.portal.clients.scoring import Scoring
from services.portal.commands.sessions import Sessions
from services.portal.district import District
from services.portal.domain.cases import ShownPlace
from services.portal.rendering import Pages
from services.portal.settings import Settings
from services.portal.views import Board
from services.portal.views.cases import Figures
from services.portal.views.live import Live
from services.portal.views.standings import Ranking
from shared import service
from shared.contracts.reports import Place
from shared.http import RateLimit, Shares
from shared.service import Runtime

FIGURES_HOLD = 10.0
"""Seconds for which the numbers of the first page are good enough."""


class Resources:
    """The district's names, what can be reported, the pages, the ways to reports and scoring, who follows what."""

    def __init__(
        self, runtime: Runtime[Resources], reports: Reports | None = None, scoring: Scoring | None = None
    ) -> None:
        """`reports` and `scoring` stand in for the services in tests. Raises what `District.load` raises."""
        settings = cast(Settings, runtime.settings)
        self._runtime = runtime
        self.district = District.load(settings.district)
        self.address = settings.portal_url
        self.pages = Pages(self.district, settings.portal_url.startswith("https://"))
        self.reports = reports or Reports(settings.reports_url)
        self.scoring = scoring or Scoring(settings.scoring_url)
        self.catalogue = LiveCatalogue(self.district.catalogue, self._catalogue)
        self.sessions = Sessions(runtime.store)
        self.live = Live(self._ranking, Shares(settings.live_clients, _share(settings.live_clients)))
        self.limit = RateLimit(settings.reports_per_minute / 60, max(1, int(settings.reports_per_minute)))
        self.forms = Shares(settings.forms_at_once, _share(settings.forms_at_once))
        self.photo_forms = Shares(settings.forms_at_once, _share(settings.forms_at_once))
        self.leaving = RateLimit(per_second=1, burst=30)
        self._figures: tuple[float, Figures] | None = None
        runtime.store.on_commit(lambda _: self.live.stir())

    @property
    def board(self) -> Board:
        """The live generation, which may be another one from one moment to the next."""
        return Board(self._runtime.store, self._runtime.generation("board"), self.district)

    async def shown(self, category: str, place: Place) -> ShownPlace:
        """What everybody may know of the place of a case of the category.

        The middle of a community stands for all of it: reports names it where the place is not to be shown.
        """
        if (await self.catalogue.current()).hides_place(category):
            return ShownPlace()
        if self.district.map.is_middle(place.community, place.longitude, place.latitude):
            return ShownPlace(address=place.address)
        return ShownPlace(place.longitude, place.latitude, place.address)

    async def figures(self) -> Figures:
        """The numbers of the first page."""
        if self._figures is None or time.monotonic() - self._figures[0] > FIGURES_HOLD:
            self._figures = time.monotonic(), await self.board.cases.figures(self._runtime.clock.now())
        return self._figures[1]

    async def _catalogue(self, tag: str | None) -> tuple[str, bytes] | None:
        return await self.reports.catalogue(tag)

    async def _ranking(self, period: str) -> Ranking:
        return await self.board.standings.ranking(period)


def _share(seats: int) -> int:
    """An eighth of the seats for one subscriber: behind one address may be a household, or a whole office."""
    return max(1, seats // 8)


async def prepare(runtime: Runtime[Resources]) -> Resources:
    """Read the district's data, the templates and the texts. Raises DistrictUnusable."""
    return Resources(runtime)


def resources_of(request: Request) -> Resources:
    """The resources behind a request. Raises Unavailable until the service has started."""
    return service.resources_of(request, Resources)
