"""How the database answers what people ask: by an index alone, whatever is asked.

The plans are what is tested here, on 20,000 cases; `make scale` measures times on a million.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from pymongo.database import Database

from services.reports.repo import CASES
from shared.store import Document
from tests.load.asking import Question, Sample, asking, plan_of, put
from tests.load.loading import load
from tests.load.questions import QUESTIONS
from tests.servers import Servers

CASES_LOADED = 20_000
INDEXES = {
    "list": "lists_1",
    "by deadline": "duties_1",
    "queue": "duties_1",
    "text": "words_1",
    "map: overdue of a category": "duties_1",
    "map": "map.longitude_1",
}
"""The index that a question is answered by, by the beginning of its name."""

pytestmark = pytest.mark.timeout(300)  # the cases have to be led through their lives first

Asked = tuple[Sample, Database[Document]]


@pytest.fixture(scope="module")
async def asked(servers: Servers) -> AsyncIterator[Asked]:
    """A database with cases of three years, and everything that is needed to ask it."""
    namespace = f"t{secrets.token_hex(4)}-"
    name = f"{namespace}reports"
    await asyncio.to_thread(load, servers.mongodb_uri(), name, CASES_LOADED)
    async with asking(servers.mongodb_uri(), name, seed=7) as world:
        yield world
    servers.forget(namespace)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
async def test_every_question_is_answered_by_an_index_and_nothing_is_sorted(asked: Asked, question: Question) -> None:
    sample, database = asked
    answered = await put(question, sample, database, times=5, explained=5)
    assert answered.plans
    assert [plan for plan in answered.plans if not plan.sound] == []
    index = next((index for name, index in INDEXES.items() if question.name.startswith(name)), None)
    if index is not None:
        assert any(each.startswith(index) for each in answered.indexes)


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        ({"find": CASES.name, "filter": {"text": "x"}}, "COLLSCAN"),
        ({"find": CASES.name, "filter": {"lists": "all/state/closed"}, "sort": {"closed_at": 1}}, "SORT"),
        ({"aggregate": CASES.name, "pipeline": [{"$match": {"text": "x"}}, {"$count": "n"}], "cursor": {}}, "COLLSCAN"),
    ],
)
async def test_a_question_without_an_index_would_be_noticed(asked: Asked, command: Document, stage: str) -> None:
    plan = plan_of(asked[1], command)
    assert stage in plan.stages
    assert not plan.sound


async def test_the_cases_are_what_a_district_has(asked: Asked) -> None:
    _, database = asked
    found = database[CASES.name]
    assert found.count_documents({}) >= CASES_LOADED
    assert len(found.distinct("state")) >= 10
    assert 0.15 < found.count_documents({"repeat_of": {"$ne": None}}) / CASES_LOADED < 0.25
    assert len(found.distinct("category")) > 50
