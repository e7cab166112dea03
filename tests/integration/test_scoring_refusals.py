"""What scoring refuses, each by its code: what is not there, what is full, and what does not fit."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from deploy.local.stack import DISTRICT
from services.scoring.api.workbook import ABOUT, XLSX
from services.scoring.app import SERVICE
from services.scoring.district import District
from services.scoring.domain.negative import EVIDENCE_LIMIT, Evidence, NegativeEvent
from services.scoring.domain.responsibility import PLANS_LIMIT, TERMS_LIMIT, Duty, Plan, Row, Scope, row_id
from services.scoring.domain.results import MARKS_LIMIT, Mark, Result
from services.scoring.repo import (
    CALENDARS,
    CURRENT,
    MATTERS,
    MEASUREMENTS,
    NEGATIVE_LISTS,
    RULE_BOOKS,
    SCHEME_TREES,
    TEXTS,
)
from services.scoring.views.archive import contents
from shared.attachments.kinds import MOST_BYTES, Kind, kind_of
from shared.clock import FixedClock
from shared.errors import DomainError, NotFound, Refused
from shared.store import Collection, UnitOfWork
from tests.inprocess import Inside, inside
from tests.integration.scoring_world import NOVEMBER, refusal

COMPOSITE = District.load(DISTRICT).formula.composites[0]


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOVEMBER), tmp_path, mongodb_uri, namespace) as scoring:
        yield scoring


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/measures/nothing", "measures-not-found"),
        ("/proposals/nothing", "proposals-not-found"),
        ("/periods/2026-11/seal", "seals-not-found"),
        ("/matrix/indicator/nothing", "matrix-not-found"),
    ],
)
async def test_what_is_not_there_is_told_by_its_name(scoring: Inside, path: str, code: str) -> None:
    assert refusal(await scoring.http.get(path, headers=scoring.token("office"))) == (404, code)


@pytest.mark.parametrize(
    ("collection", "code"),
    [
        (CALENDARS, "calendars-not-found"),
        (MATTERS, "matters-not-found"),
        (MEASUREMENTS, "measurements-not-found"),
        (RULE_BOOKS, "rule-books-not-found"),
        (SCHEME_TREES, "scheme-trees-not-found"),
        (TEXTS, "texts-not-found"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_a_document_that_a_command_needs_and_nobody_wrote_is_told_by_its_name(
    scoring: Inside, collection: Collection[Any], code: str
) -> None:
    with pytest.raises(NotFound) as raised:
        await scoring.runtime.store.unit().get(collection, "nothing")
    assert raised.value.code == code


async def test_a_negative_list_that_was_never_adopted_is_told(scoring: Inside) -> None:
    await scoring.runtime.store.driver.drop("negative-lists")
    answer = await scoring.http.get("/negative-list", headers=scoring.token("office"))
    assert refusal(answer) == (404, "negative-lists-not-found")


async def test_an_event_of_a_day_without_the_citys_status_is_refused(scoring: Inside) -> None:
    async def forget_the_status(uow: UnitOfWork) -> None:
        negative = await uow.get(NEGATIVE_LISTS, CURRENT)
        negative.situations.clear()
        uow.save(NEGATIVE_LISTS, negative)

    await scoring.runtime.store.run(forget_the_status)
    report = {"item": "G15", "occurred_at": "2026-11-02T10:00:00+08:00", "text": "事故快报"}
    answer = await scoring.http.post("/negative-list/events", json=report, headers=scoring.token("office"))
    assert refusal(answer) == (409, "city-status-unknown")


async def test_what_was_measured_there_and_then_is_not_measured_again(scoring: Inside) -> None:
    body = {
        "unit": "gongjiao",
        "standard": "示例-公益-01-1",
        "measured_at": "2026-11-02T02:00:00Z",
        "place": "一号站",
        "measured": {"found": 4},
    }
    answers = [await scoring.http.post("/measurements", json=body, headers=scoring.token("office")) for _ in range(2)]
    assert answers[0].status_code == 201, answers[0].text
    assert refusal(answers[1]) == (409, "measurement-exists")


async def test_a_table_of_a_scheme_without_a_name_is_refused(scoring: Inside) -> None:
    table = await scoring.http.get("/schemes/1/table", headers=scoring.token("office"))
    book, unnamed = load_workbook(io.BytesIO(table.content)), io.BytesIO()
    del book[ABOUT]
    book.save(unnamed)
    headers = {**scoring.token("office"), "content-type": XLSX}
    answer = await scoring.http.post("/schemes/import", content=unnamed.getvalue(), headers=headers)
    assert refusal(answer) == (422, "scheme-unnamed")


async def test_an_assessment_is_asked_for_by_its_own_kind_of_period(scoring: Inside) -> None:
    period = {"year": "2026-11", "quarter": "2026"}.get(COMPOSITE.per, "2026")
    answer = await scoring.http.get("/standings", params={"scheme": COMPOSITE.code, "period": period})
    assert refusal(answer) == (422, "scheme-period-unfit")


async def test_a_seal_whose_text_is_gone_is_no_export(scoring: Inside) -> None:
    with pytest.raises(DomainError):
        await contents(scoring.runtime.store, "2026-10", unsealed=False)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "attachment-empty"), (b"%PDF-" + b"x" * MOST_BYTES, "attachment-too-large")],
    ids=["attachment-empty", "attachment-too-large"],
)
def test_a_file_of_no_or_too_many_bytes_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(DomainError) as raised:
        kind_of(content)
    assert raised.value.code == code


def test_a_responsibility_has_only_so_many_terms() -> None:
    row = Row(row_id(Scope.INDICATOR, "I-1"), Scope.INDICATOR, "I-1")
    for number in range(TERMS_LIMIT):
        row.change(Duty(f"unit-{number}"), "2026-11-01", row.newest, NOVEMBER, "office", "补记")
    with pytest.raises(Refused) as raised:
        row.change(Duty("one-more"), "2026-11-01", row.newest, NOVEMBER, "office", "补记")
    assert raised.value.code == "matrix-terms-many"


def test_a_responsibility_has_only_so_many_plans() -> None:
    row = Row(row_id(Scope.INDICATOR, "I-1"), Scope.INDICATOR, "I-1")
    for number in range(PLANS_LIMIT):
        row.hand_in(_plan(number))
    with pytest.raises(Refused) as raised:
        row.hand_in(_plan(PLANS_LIMIT))
    assert raised.value.code == "matrix-plans-many"


def test_an_event_has_only_so_much_evidence() -> None:
    evidence = Evidence("通报", (), NOVEMBER, "reporter")
    event = NegativeEvent("e", "G15", 1, "yingji", NOVEMBER, NOVEMBER, "reporter", [evidence] * EVIDENCE_LIMIT)
    with pytest.raises(Refused) as raised:
        event.add(evidence)
    assert raised.value.code == "negative-evidence-many"


def test_a_result_has_only_so_many_marks() -> None:
    part = COMPOSITE.parts[0].code
    marks = [Mark(part, Decimal("0.5"), "通报", datetime(2026, 11, 3, tzinfo=UTC), "office")] * MARKS_LIMIT
    result = Result("r", COMPOSITE.code, "2026", "huanwei", marks)
    with pytest.raises(DomainError) as raised:
        result.record(Mark(part, Decimal("0.6"), "通报", NOVEMBER, "office"), COMPOSITE)
    assert raised.value.code == "result-marks-too-many"


def _plan(number: int) -> Plan:
    return Plan(number, "huanwei", "a", Kind.PDF, 5, "0" * 64, NOVEMBER, "liaison")
