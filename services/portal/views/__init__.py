"""What pages and their JSON twins ask for, by noun."""

from __future__ import annotations

from services.portal.district import District
from services.portal.repo import CASES, ENTRIES, LISTS, MEASURES, STANDINGS
from services.portal.views.cases import Cases
from services.portal.views.entries import Entries
from services.portal.views.lists import Lists
from services.portal.views.measures import Measures
from services.portal.views.standings import Standings
from shared.readmodel import Generation
from shared.store import Store


class Board:
    """One generation of the board."""

    def __init__(self, store: Store, generation: Generation, district: District) -> None:
        self.cases = Cases(store, generation(CASES))
        self.standings = Standings(store, generation(STANDINGS), district)
        self.entries = Entries(store, generation(ENTRIES))
        self.measures = Measures(store, generation(MEASURES), district)
        self.lists = Lists(store, generation(LISTS))
