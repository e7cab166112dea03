"""How a question is put: through the service's own views, so that what is measured and explained is what it sends."""

from __future__ import annotations

import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from deploy.local.stack import DISTRICT
from services.reports.district import District
from services.reports.domain import Catalogue
from services.reports.repo import CASES
from services.reports.views.figures import Dimension, Period, figures
from services.reports.views.filters import CaseFilter, Sorting
from services.reports.views.lists import ORDERS, case_page
from services.reports.views.map import Box, case_map
from services.reports.views.names import Names
from shared.auth import Principal
from shared.clock import FixedClock
from shared.contracts.reports import Stage
from shared.roles import Role
from shared.store import Store
from shared.store.collection import Document, Filter
from shared.store.driver import Sort
from shared.store.mongo import CODEC, MongoDriver
from tests.load.lives import UNTIL

STAFF = Principal("staff", frozenset({Role.DISPATCHER}))
ASKED_MS = 50.0


class Watched(MongoDriver):
    """A driver that notes what it is asked, as commands that can be explained."""

    def __init__(self, uri: str, database: str) -> None:
        super().__init__(uri, database, "pymongo")
        self.asked: list[Document] = []

    async def find(
        self,
        collection: str,
        filter: Filter,
        sort: Sort = (),
        limit: int = 0,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        self.asked.append({"find": collection, "filter": filter, "sort": dict(sort), "limit": limit})
        return await super().find(collection, filter, sort, limit, skip, fields)

    async def count(self, collection: str, filter: Filter) -> int:
        counted: Document = {"$group": {"_id": 1, "n": {"$sum": 1}}}
        self.asked.append({"aggregate": collection, "pipeline": [{"$match": filter}, counted], "cursor": {}})
        return await super().count(collection, filter)

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]:
        self.asked.append({"aggregate": collection, "pipeline": list(pipeline), "cursor": {}})
        return await super().aggregate(collection, pipeline)


@dataclass(frozen=True)
class Plan:
    """How the database answers: the stages of the winning plan and the indexes it walks, by name."""

    stages: frozenset[str]
    indexes: frozenset[str]

    @property
    def sound(self) -> bool:
        """Whether it goes by an index alone: no scan of all cases, nothing sorted in memory."""
        return bool(self.indexes) and self.stages.isdisjoint({"COLLSCAN", "SORT", "sort"})


def plan_of(database: Database[Document], command: Document) -> Plan:
    """What the database would do for the command."""
    found = database.command("explain", command, verbosity="queryPlanner")
    stages: set[str] = set()
    indexes: set[str] = set()
    for part in _parts(found):
        if isinstance(part.get("stage"), str):
            stages.add(part["stage"])
        if isinstance(part.get("indexName"), str):
            indexes.add(part["indexName"])
    return Plan(frozenset(stages), frozenset(indexes))


def _parts(content: Any) -> Iterator[Document]:
    """All parts of the winning plan; what was considered and rejected is left out."""
    if isinstance(content, dict):
        yield content
        for name, part in content.items():
            if name not in {"rejectedPlans", "slotBasedPlan", "command"}:
                yield from _parts(part)
    elif isinstance(content, list):
        for part in content:
            yield from _parts(part)


@dataclass
class Sample:
    """Whom to ask and what for: views over a store, cases that there are, and a chance."""

    store: Store
    chance: random.Random
    names: Names
    cases: list[Document]

    @classmethod
    def of(cls, database: Database[Document], store: Store, district: District, seed: int, size: int = 500) -> Sample:
        """A sample of the database's cases."""
        found = list(database[CASES.name].aggregate([{"$sample": {"size": size}}]))
        return cls(store, random.Random(seed), Names.of(district, Catalogue(1, district.categories)), found)

    async def page(
        self, order: Sorting = Sorting.NEWEST, caller: Principal = STAFF, after: str | None = None, **wanted: Any
    ) -> object:
        """A page of a list."""
        return await case_page(self.store, caller, CaseFilter(**wanted), order, after, 50)

    def any_case(self, **like: object) -> Document:
        """One of the cases, as said where there is one."""
        fitting = [case for case in self.cases if all(case[name] == value for name, value in like.items())]
        return self.chance.choice(fitting or self.cases)

    def any(self, field: str) -> Any:
        """What a case has there: often what many have."""
        values = [case[field] for case in self.cases if case[field]]
        return self.chance.choice(values)

    @property
    def community(self) -> str:
        return str(self.any("place")["community"])

    @property
    def officer(self) -> Principal:
        """Somebody of a unit that has cases."""
        return Principal("officer", frozenset({Role.OFFICER}), self.any("unit"))

    def filters(self, least: int, most: int) -> dict[str, Any]:
        """Between so many filters that fit one case."""
        case = self.any_case()
        fitting: dict[str, Any] = {
            "state": [case["state"]],
            "category": [case["category"]],
            "community": [case["place"]["community"]],
            "channel": [case["channel"]],
            "kind": case["kind"],
            "unit": case["unit"],
            "repeat": case["repeat_of"] is not None,
            "stage": [case["stage"]] if case["stage"] else [],
            "level": [case["level"]] if case["level"] else [],
        }
        content = {name: value for name, value in fitting.items() if value}
        chosen = self.chance.sample(list(content), min(len(content), self.chance.randint(least, most)))
        return {name: content[name] for name in chosen}

    def words(self, case: Document, characters: int) -> str:
        """So many characters in a row of what the case says."""
        runs = [run for run in re.findall(r"[\u4e00-\u9fff]+", case["text"]) if len(run) >= characters]
        run: str = self.chance.choice(runs)
        start = self.chance.randint(0, len(run) - characters)
        return run[start : start + characters]

    def position(self, order: Sorting) -> str:
        """The cursor of a page somewhere in the middle."""
        case = self.any_case() if order is Sorting.NEWEST else self.any_case(stage=Stage.RECTIFY.value)
        keys = ORDERS[order]
        return keys.cursor(*(case[key.field] for key in keys.keys))

    def box(self, degrees: float) -> Box:
        """A box of the map around a case, so many degrees wide."""
        place, half = self.any("place"), degrees / 2
        east, north = place["longitude"], place["latitude"]
        return Box(east - half, north - half, east + half, north + half)

    async def map(self, degrees: float, **how: Any) -> object:
        return await case_map(
            self.store, STAFF, self.box(degrees), how.get("categories", []), how.get("overdue", False)
        )

    async def month(self, dimension: Dimension, caller: Principal = STAFF) -> object:
        """The figures of some month of the last two years."""
        first = date(2025, 1, 1) + timedelta(days=self.chance.randrange(600))
        return await figures(self.store, self.names, caller, Period(first, first + timedelta(days=30)), dimension)


Ask = Callable[[Sample], Awaitable[object]]


@dataclass(frozen=True)
class Question:
    """One kind of question: how it is put, and within which time (milliseconds) 95 of 100 have to be answered."""

    name: str
    ask: Ask
    target_ms: float = ASKED_MS


@dataclass
class Answered:
    """How a question was answered: milliseconds of each time, and the plans of all that was asked of the database."""

    question: Question
    times: list[float] = field(default_factory=list)
    plans: set[Plan] = field(default_factory=set)

    @property
    def indexes(self) -> list[str]:
        return sorted({name for plan in self.plans for name in plan.indexes})


async def put(question: Question, sample: Sample, database: Database[Document], times: int, explained: int) -> Answered:
    """Ask so many times, each time for something else, and explain what was asked the first times."""
    watched = sample.store.driver
    assert isinstance(watched, Watched)
    answered = Answered(question)
    for number in range(times):
        watched.asked.clear()
        started = time.perf_counter()
        await question.ask(sample)
        answered.times.append((time.perf_counter() - started) * 1000)
        if number < explained:
            answered.plans |= {plan_of(database, command) for command in watched.asked}
    return answered


@asynccontextmanager
async def asking(uri: str, name: str, seed: int) -> AsyncIterator[tuple[Sample, Database[Document]]]:
    """Everything that is needed to put questions to a database with cases."""
    store = Store(Watched(uri, name), FixedClock(UNTIL), [CASES])
    try:
        with MongoClient[Document](uri) as client:
            database = client.get_database(name, codec_options=CODEC)
            yield Sample.of(database, store, District.load(DISTRICT), seed), database
    finally:
        await store.close()
