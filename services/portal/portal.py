"""What a process of the portal holds besides its store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import Request, Response
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from services.portal.catalogue import Catalogue, LiveCatalogue
from services.portal.district import District
from services.portal.forms import BODY_BYTES, FIELD_BYTES, FIELDS
from services.portal.live import Live
from services.portal.rendering import Pages, language_of
from services.portal.reporting import Reports
from services.portal.scoring import Scoring
from services.portal.sessions import Sessions
from services.portal.settings import Settings
from services.portal.views import Figures, Ranking, Views
from shared import telemetry
from shared.errors import Invalid, TooLarge, Unavailable
from shared.http import RateLimit, client_address
from shared.service import Runtime, runtime_of

FIGURES_HOLD = 10.0
"""Seconds for which the numbers of the first page are good enough."""
PATIENCE = 120.0
"""Seconds a telephone may take to send its photos."""
FILES = 10


class Portal:
    """The district's names, what can be reported, the pages, the ways to reports and scoring, who follows what."""

    def __init__(self, runtime: Runtime, reports: Reports | None = None, scoring: Scoring | None = None) -> None:
        """`reports` and `scoring` stand in for the services in tests. Raises what `District.load` raises."""
        settings = cast(Settings, runtime.settings)
        self._runtime = runtime
        self.district = District.load(settings.district)
        self.pages = Pages(self.district, settings.portal_url.startswith("https://"))
        self.reports = reports or Reports(settings.reports_url)
        self.scoring = scoring or Scoring(settings.scoring_url)
        self.catalogue = LiveCatalogue(Catalogue.load(settings.district), self._catalogue)
        self.sessions = Sessions(runtime.store)
        self.live = Live(self._ranking, settings.live_clients)
        self.limit = RateLimit(settings.reports_per_minute / 60, max(1, int(settings.reports_per_minute)))
        self._forms = settings.forms_at_once
        self._figures: tuple[float, Figures] | None = None
        runtime.store.on_commit(lambda _: self.live.stir())

    @property
    def views(self) -> Views:
        """The live generation, which may be another one from one moment to the next."""
        return Views(self._runtime.store, self._runtime.generation("board"), self.district)

    async def page(self, request: Request, template: str, *, status: int = 200, **told: object) -> Response:
        """The page in the reader's language, with categories as they are called now."""
        catalogue = await self.catalogue.current()
        return self.pages.answer(request, template, status=status, catalogue=catalogue, **told)

    async def figures(self) -> Figures:
        """The numbers of the first page."""
        if self._figures is None or time.monotonic() - self._figures[0] > FIGURES_HOLD:
            self._figures = time.monotonic(), await self.views.figures(self._runtime.clock.now())
        return self._figures[1]

    @asynccontextmanager
    async def form(self, request: Request) -> AsyncIterator[FormData]:
        """The form in the request. Raises Unavailable when too many are being read.

        Raises TooLarge (`report-too-large`) and Invalid (`report-unreadable`), too.
        """
        if not self._forms:
            raise Unavailable("too many forms are being read")
        self._forms -= 1
        try:
            form = await _read(request)
            try:
                yield form
            finally:
                await form.close()
        finally:
            self._forms += 1

    async def _catalogue(self, tag: str | None) -> tuple[str, bytes] | None:
        return await self.reports.catalogue(tag)

    async def _ranking(self, period: str) -> Ranking:
        return await self.views.ranking(period)


async def _read(request: Request) -> FormData:
    try:
        async with asyncio.timeout(PATIENCE):
            return await request.form(max_files=FILES, max_fields=FIELDS, max_part_size=FIELD_BYTES)
    except TimeoutError as error:
        raise Unavailable("the form came too slowly") from error
    except HTTPException as error:
        if error.status_code == 413:
            raise TooLarge("report-too-large", limit=BODY_BYTES // 1_000_000) from error
        raise Invalid("report-unreadable") from error


def portal_of(request: Request) -> Portal:
    """The portal behind a request. Raises Unavailable until it has started."""
    portal: Portal = runtime_of(request).own
    return portal


def forwarded(request: Request) -> dict[str, str]:
    """Headers for the reports service: the reader's address and language, and the trace."""
    told = {"x-forwarded-for": client_address(request), "accept-language": language_of(request)}
    trace = telemetry.current_traceparent()
    return {**told, "traceparent": trace} if trace else told
