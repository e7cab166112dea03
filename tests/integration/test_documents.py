"""Papers over HTTP on a real database: numbered without a gap, printed again as they were, for whom they concern."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from docx import Document as WordFile

from services.reports.app import SERVICE
from services.reports.domain.documents import DocumentKind
from services.reports.repo import DOCUMENTS
from shared.clock import FixedClock
from shared.serials import SERIALS, Serial
from tests.inprocess import Inside, inside
from tests.pdf_reader import Pdf

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
REPORT: dict[str, Any] = {
    "category": "exposed-rubbish",
    "longitude": 112.6,
    "latitude": 26.885,
    "text": "垃圾桶满了没人清",
    "reporter": {"name": "王女士", "phone": "0734-8888888"},
}
ORDER, RECEIPT = (kind.value for kind in DocumentKind)


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def filed(reports: Inside) -> str:
    answer = await reports.http.post("/cases", json=REPORT, headers=reports.token("service"))
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["case"]
    return id


async def step(reports: Inside, id: str, name: str, body: object, *roles: str, unit: str | None = None) -> None:
    answer = await reports.http.post(f"/cases/{id}/{name}", json=body, headers=reports.token(*roles, unit=unit))
    assert answer.status_code == 200, answer.text


async def replied(reports: Inside) -> str:
    id = await filed(reports)
    await step(reports, id, "acknowledge", None, "officer", unit="huanwei")
    await step(reports, id, "reply", {"text": "已清运，增加巡查"}, "officer", unit="huanwei")
    return id


async def asked(reports: Inside, id: str, kind: str, **headers: str) -> httpx2.Response:
    caller = reports.token("office") if kind == ORDER else reports.token("liaison", unit="huanwei")
    return await reports.http.post(f"/cases/{id}/documents", json={"kind": kind}, headers=caller | headers)


async def issued(reports: Inside, id: str, kind: str = ORDER) -> dict[str, Any]:
    answer = await asked(reports, id, kind)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def printed(reports: Inside, id: str, format: str = "pdf") -> bytes:
    answer = await reports.http.get(f"/documents/{id}.{format}", headers=reports.token("office"))
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_an_order_is_issued_listed_and_printed(reports: Inside) -> None:
    case = await filed(reports)
    answer = await asked(reports, case, ORDER)
    body = answer.json()
    assert body == {
        "id": f"assignment-order-{case}-huanwei-1",
        "kind": "assignment-order",
        "name": "交办单",
        "number": "〔2026〕第0001号",
        "case": case,
        "unit": "huanwei",
        "issued_at": "2026-11-23T01:00:00Z",
        "issued_by": "centre",
    }
    officer = reports.token("officer", unit="huanwei")
    assert (await reports.http.get(f"/cases/{case}/documents", headers=officer)).json() == [body]
    file = await reports.http.get(answer.headers["location"], headers=officer)
    assert file.status_code == 200
    assert file.headers["content-type"] == "application/pdf"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["cache-control"] == "no-store"
    assert file.headers["content-disposition"] == (
        'attachment; filename="assignment-order-huanwei-2026-0001.pdf"; '
        "filename*=UTF-8''%E4%BA%A4%E5%8A%9E%E5%8D%95%E3%80%942026%E3%80%95%E7%AC%AC0001%E5%8F%B7.pdf"
    )
    text = Pdf(file.content).text
    for part in ("〔2026〕第0001号", case, "暴露垃圾", "垃圾桶满了没人清", "2026年11月23日15时00分", "4个工作时"):
        assert part in text
    assert "王女士" not in text
    document = await reports.runtime.store.get(DOCUMENTS, body["id"])
    assert document is not None
    assert document.paper.link is not None
    assert document.paper.link.url == f"https://chuangwen.example/cases/{case}"


async def test_a_receipt_names_the_order_it_answers(reports: Inside) -> None:
    await issued(reports, await filed(reports))
    case = await filed(reports)
    await issued(reports, case)
    await step(reports, case, "acknowledge", None, "officer", unit="huanwei")
    await step(reports, case, "reply", {"text": "已清运，增加巡查"}, "officer", unit="huanwei")
    receipt = await issued(reports, case, RECEIPT)
    assert (receipt["number"], receipt["issued_by"]) == ("〔2026〕第0001号", "huanwei")
    file = WordFile(BytesIO(await printed(reports, receipt["id"], "docx")))
    assert "你办〔2026〕第0002号交办单所列问题，我单位已办理完毕，现将整改情况回复如下。" in [
        paragraph.text for paragraph in file.paragraphs
    ]
    assert "已清运，增加巡查" in [cell.text for row in file.tables[0].rows for cell in row.cells]


async def test_a_paper_stays_as_it_was_when_the_case_moves_on(reports: Inside) -> None:
    case = await filed(reports)
    order = await issued(reports, case)
    before = [await printed(reports, order["id"], format) for format in ("pdf", "docx")]
    reports.clock.advance(timedelta(hours=1))
    await step(reports, case, "acknowledge", None, "officer", unit="huanwei")
    await step(reports, case, "reply", {"text": "已清运"}, "officer", unit="huanwei")
    assert await issued(reports, case) == order
    assert [await printed(reports, order["id"], format) for format in ("pdf", "docx")] == before


async def test_a_rework_is_another_turn_with_a_paper_of_its_own(reports: Inside) -> None:
    case = await filed(reports)
    first = await issued(reports, case)
    await step(reports, case, "acknowledge", None, "officer", unit="huanwei")
    await step(reports, case, "reply", {"text": "已清运"}, "officer", unit="huanwei")
    receipt = await issued(reports, case, RECEIPT)
    await step(reports, case, "verify", {"passed": False, "note": "还有散落"}, "verifier")
    again = await issued(reports, case)
    assert (first["number"], again["number"]) == ("〔2026〕第0001号", "〔2026〕第0002号")
    assert "还有散落" in Pdf(await printed(reports, again["id"])).text
    await step(reports, case, "reply", {"text": "再次清运"}, "officer", unit="huanwei")
    assert (await issued(reports, case, RECEIPT))["number"] == "〔2026〕第0002号"
    listed = await reports.http.get(f"/cases/{case}/documents", headers=reports.token("leader"))
    assert {body["id"] for body in listed.json()} >= {first["id"], receipt["id"], again["id"]}


async def test_asked_again_and_at_the_same_time_it_is_one_paper(reports: Inside) -> None:
    case = await filed(reports)
    answers = await asyncio.gather(*(asked(reports, case, ORDER) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["number"] for answer in answers} == {"〔2026〕第0001号"}
    assert await reports.runtime.store.count(DOCUMENTS, {}) == 1


async def test_forty_papers_at_once_in_two_processes_have_the_numbers_one_to_forty(
    reports: Inside, mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    cases = [await filed(reports) for _ in range(40)]
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as other:
        requests = [asked((reports, other)[place % 2], case, ORDER) for place, case in enumerate(cases)]
        twice = [asked((other, reports)[place % 2], case, ORDER) for place, case in enumerate(cases[:10])]
        answers = await asyncio.gather(*requests, *twice)
    assert Counter(answer.status_code for answer in answers) == {201: 50}
    numbers = {answer.json()["case"]: answer.json()["number"] for answer in answers}
    assert sorted(numbers.values()) == [f"〔2026〕第{number:04}号" for number in range(1, 41)]
    assert [answer.json()["number"] for answer in answers[40:]] == [numbers[case] for case in cases[:10]]
    kept = await reports.runtime.store.find(DOCUMENTS, {}, [("number", 1)])
    assert [document.number for document in kept] == list(range(1, 41))
    [serials] = await reports.runtime.store.find(SERIALS, {})
    assert serials == Serial("assignment-order/huanwei/2026", 40)


async def test_who_would_wait_too_long_for_a_number_is_told_to_come_back(
    reports: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await filed(reports)
    monkeypatch.setattr("services.reports.commands.documents.PATIENCE", 0)
    async with reports.runtime.resources.issuing.numbering():
        answer = await asked(reports, case, ORDER)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    monkeypatch.undo()
    assert (await issued(reports, case))["number"] == "〔2026〕第0001号"


async def test_each_kind_unit_and_year_counts_for_itself(reports: Inside) -> None:
    first = await replied(reports)
    assert (await issued(reports, await filed(reports)))["number"] == "〔2026〕第0001号"
    assert (await issued(reports, first, RECEIPT))["number"] == "〔2026〕第0001号"
    elsewhere = await reports.http.post("/cases", json={**REPORT, "category": "street-vending"})
    assert (await issued(reports, elsewhere.json()["case"]))["number"] == "〔2026〕第0001号"
    reports.clock.set(datetime(2026, 12, 31, 15, 59, tzinfo=UTC))
    assert (await issued(reports, await filed(reports)))["number"] == "〔2026〕第0002号"
    reports.clock.set(datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    assert (await issued(reports, await filed(reports)))["number"] == "〔2027〕第0001号"


async def test_a_refused_paper_takes_no_number(reports: Inside) -> None:
    case = await filed(reports)
    refused = await asked(reports, case, RECEIPT)
    assert (refused.status_code, refused.json()["code"]) == (409, "document-not-possible")
    late = await asked(reports, await replied(reports), ORDER)
    assert (late.status_code, late.json()["code"]) == (409, "document-not-possible")
    assert await reports.runtime.store.count(SERIALS, {}) == 0
    assert (await issued(reports, case))["number"] == "〔2026〕第0001号"


async def test_who_may_issue_what(reports: Inside) -> None:
    case = await replied(reports)
    attempts = [
        (ORDER, {}, 401, "token-missing"),
        (ORDER, reports.token("citizen"), 403, "role-required"),
        (ORDER, reports.token("officer", unit="huanwei"), 403, "role-required"),
        (RECEIPT, reports.token("office"), 403, "role-required"),
        (RECEIPT, reports.token("officer", unit="chengguan"), 403, "case-of-another-unit"),
        (RECEIPT, reports.token("officer"), 403, "case-of-another-unit"),
    ]
    for kind, caller, status, code in attempts:
        answer = await reports.http.post(f"/cases/{case}/documents", json={"kind": kind}, headers=caller)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (kind, caller)
    unknown = await reports.http.post(
        f"/cases/{case}/documents", json={"kind": "letter"}, headers=reports.token("office")
    )
    assert (unknown.status_code, unknown.json()["field"]) == (422, "kind")
    nowhere = await asked(reports, "20260101-0000000000", ORDER)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "cases-not-found")
    assert await reports.runtime.store.count(DOCUMENTS, {}) == 0
    officer = {"kind": RECEIPT}, reports.token("officer", unit="huanwei")
    own = await reports.http.post(f"/cases/{case}/documents", json=officer[0], headers=officer[1])
    assert own.status_code == 201


async def test_who_may_read_papers(reports: Inside) -> None:
    case = await filed(reports)
    paper = (await issued(reports, case))["id"]
    stranger = reports.token("officer", unit="chengguan")
    for address in (f"/documents/{paper}.pdf", f"/documents/{paper}.docx"):
        for caller, status in (
            ({}, 401),
            (reports.token("citizen"), 403),
            (stranger, 404),
            (reports.token("officer"), 404),
            (reports.token("liaison", unit="huanwei"), 200),
            (reports.token("verifier"), 200),
        ):
            assert (await reports.http.get(address, headers=caller)).status_code == status, (address, caller)
    listed = await reports.http.get(f"/cases/{case}/documents", headers=stranger)
    assert (listed.status_code, listed.json()) == (200, [])
    missing = await reports.http.get("/cases/none/documents", headers=reports.token("office"))
    assert (missing.status_code, missing.json()["code"]) == (404, "cases-not-found")
    odd = await reports.http.get(f"/documents/{paper}.exe", headers=reports.token("office"))
    assert (odd.status_code, odd.json()["field"]) == (422, "format")


async def test_the_same_key_is_answered_the_same(reports: Inside) -> None:
    case = await filed(reports)
    first = await asked(reports, case, ORDER, **{"Idempotency-Key": "k1"})
    again = await asked(reports, case, ORDER, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
