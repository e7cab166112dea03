"""What reports refuses, each by its code: what is not there, what is too much, and tables that cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.stack import DISTRICT
from services.reports.app import SERVICE
from services.reports.district import District
from services.reports.domain.hotline import SURPLUS
from services.reports.views import duplicates
from shared.clock import FixedClock
from shared.errors import Invalid
from tests.inprocess import Inside, inside
from tests.integration.reports_world import MONDAY

SHEET = District.load(DISTRICT).hotline
ORDER = {"工单号": "HY-1", "内容": "垃圾桶满了没人清"}


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as reports:
        yield reports


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("POST", "/bans/nothing/lift", "bans-not-found"), ("GET", "/documents/nothing.pdf", "documents-not-found")],
)
async def test_what_is_not_there_is_told_by_its_name(reports: Inside, method: str, path: str, code: str) -> None:
    answer = await reports.http.request(method, path, headers=reports.token("office"), json={"reason": "已核实"})
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_an_upload_of_nothing_is_refused(reports: Inside) -> None:
    answer = await reports.http.post("/photos", content=b"", headers={"content-type": "image/jpeg"})
    assert (answer.status_code, answer.json()["code"]) == (422, "photo-empty")


async def test_more_repeats_than_can_be_looked_at_are_refused(reports: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "OCCURRENCES", -1)
    days = {"since": "2026-11-01", "until": "2026-11-23"}
    answer = await reports.http.get("/repeats", params=days, headers=reports.token("office"))
    assert (answer.status_code, answer.json()["code"]) == (422, "period-too-busy"), answer.text


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({**ORDER, SURPLUS: ["多出来的"]}, "cells-surplus"),
        ({**ORDER, "诉求内容": "路灯不亮"}, "cell-ambiguous"),
        ({**ORDER, "工单号": "2.02611E+13"}, "order-number-rounded"),
    ],
    ids=["cells-surplus", "cell-ambiguous", "order-number-rounded"],
)
def test_a_row_of_which_nobody_knows_what_it_says_is_refused(row: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as raised:
        SHEET.read(row)
    assert raised.value.code == code


def test_a_table_with_one_heading_twice_is_refused() -> None:
    with pytest.raises(Invalid) as raised:
        SHEET.headings(["工单号", "内容", "内容"])
    assert raised.value.code == "heading-twice"
