"""Texts as they are pasted, and the papers and tables they end up in."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from docx import Document as WordFile
from openpyxl import load_workbook

from services.reports.repo import CASES
from shared.store import OUTBOX
from tests.cases.world import REPORT, UNIT, acknowledged, body, case_of, filed, form, got, refusal, step
from tests.inprocess import Inside
from tests.pdf_reader import Pdf

CONTROL = "text-has-control-characters"


async def posted(reports: Inside, name: str) -> httpx2.Response:
    return await reports.http.post("/cases", json=body(name), headers=reports.token("service"))


async def exported(reports: Inside, format: str, category: str = "exposed-rubbish") -> bytes:
    wanted = {"format": format, "category": category}
    answer = await reports.http.get("/cases/export", params=wanted, headers=reports.token("office"))
    assert answer.status_code == 200, answer.text
    return answer.content


async def row_of(reports: Inside, case: str, format: str) -> dict[str, Any]:
    """A case's cells in the table, by heading."""
    content = await exported(reports, format)
    if format == "csv":
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    else:
        lines = [[str(cell.value or "") for cell in line] for line in sheet_of(content).iter_rows()]
    [found] = [line for line in lines if line[0] == case]
    return dict(zip(lines[0], found, strict=True))


def sheet_of(content: bytes) -> Any:
    """The first sheet of a workbook."""
    return load_workbook(io.BytesIO(content)).active


async def replied(reports: Inside, name: str) -> tuple[str, bytes, bytes]:
    """A receipt of a unit's reply: the paper's identity, its PDF and its DOCX."""
    case = await acknowledged(reports)
    await step(reports, case, "reply", body(name), "officer", unit=UNIT)
    liaison = reports.token("liaison", unit=UNIT)
    answer = await reports.http.post(
        f"/cases/{case}/documents", json={"kind": "rectification-receipt"}, headers=liaison
    )
    paper = got(answer, 201)["id"]
    return paper, await printed(reports, paper, "pdf"), await printed(reports, paper, "docx")


async def printed(reports: Inside, paper: str, format: str) -> bytes:
    answer = await reports.http.get(f"/documents/{paper}.{format}", headers=reports.token("office"))
    assert answer.status_code == 200, answer.text
    return answer.content


def words_of(docx: bytes) -> str:
    """Everything in a Word file's body, cells included."""
    file = WordFile(io.BytesIO(docx))
    cells = [cell.text for table in file.tables for row in table.rows for cell in row.cells]
    return "\n".join([paragraph.text for paragraph in file.paragraphs] + cells)


async def test_T01_what_shows_nothing_is_nothing(reports: Inside) -> None:
    receipt = got(await posted(reports, "t01a-name-of-zero-width.json"), 201)
    office = reports.token("office")
    opened = await reports.http.post(f"/cases/{receipt['case']}/reporter", json={"reason": "核实"}, headers=office)
    assert got(opened)["name"] is None
    case = await acknowledged(reports)
    for name in ("t01b-reason-of-zero-width.json", "t01c-reason-hangul-filler.json"):
        answer = await reports.http.post(
            f"/cases/{case}/return", json=body(name), headers=reports.token("officer", unit=UNIT)
        )
        assert refusal(answer) == (422, "text-required", "reason"), name


async def test_T01_joiners_inside_an_emoji_are_kept(reports: Inside) -> None:
    receipt = got(await posted(reports, "t01d-emoji-family-is-fine.json"), 201)
    assert (await case_of(reports, receipt["case"]))["text"] == body("t01d-emoji-family-is-fine.json")["text"]


@pytest.mark.parametrize("name", ["t02-noncharacter-in-address.json", "t02b-noncharacter-fffe-in-text.json"])
async def test_T02_a_noncharacter_never_costs_an_export(reports: Inside, name: str) -> None:
    report = body(name) | {"category": "road-cleaning"}
    answer = await reports.http.post("/cases", json=report, headers=reports.token("service"))
    assert answer.status_code == 201 or refusal(answer)[:2] == (422, CONTROL)
    for format in ("xlsx", "csv"):
        await exported(reports, format, category="road-cleaning")


async def test_T03_control_characters_are_refused_by_name_everywhere(reports: Inside) -> None:
    answer = await posted(reports, "t03-vertical-tab-in-address.json")
    assert refusal(answer) == (422, CONTROL, "address")
    changes: dict[str, dict[str, Any]] = {
        "text": {"text": "垃圾\x07桶"},
        "reporter.name": {"reporter": {"name": "王\x0b女士"}},
        "answers.pole": {"category": "street-light", "answers": {"pole": "12\x16号"}},
    }
    for field, change in changes.items():
        answer = await reports.http.post("/cases", json=REPORT | change, headers=reports.token("service"))
        assert refusal(answer) == (422, CONTROL, field)
    case = await acknowledged(reports)
    answer = await reports.http.post(
        f"/cases/{case}/reply", json={"text": "已清\x0b运"}, headers=reports.token("officer", unit=UNIT)
    )
    assert refusal(answer) == (422, CONTROL, "text")


async def test_T03_control_characters_in_a_table_are_refused_by_row(reports: Inside) -> None:
    columns = {"地址": "祥光社区\x0b北门", "内容": "垃圾\x07桶", "来电人": "王\x16女士"}
    row = {"工单号": "HY-T03", "内容": "垃圾桶满了", "社区": "祥光社区"}
    rows = [row | {"工单号": f"HY-T03-{n}", name: value} for n, (name, value) in enumerate(columns.items())]
    answer = await reports.http.post("/imports/hotline", json={"rows": rows}, headers=reports.token("service"))
    body = [(row["code"], row["field"]) for row in got(answer)["rows"]]
    assert body == [(CONTROL, name) for name in columns]


async def test_T04_rare_characters_are_in_the_papers(reports: Inside) -> None:
    text = body("t04-reply-emoji-rare-characters.json")["text"]
    paper, pdf, docx = await replied(reports, "t04-reply-emoji-rare-characters.json")
    assert text in words_of(docx)
    shown = Pdf(pdf).text
    assert "□" in shown
    for part in ("已清运", "野家门前、", "园、", "路口，葛", "氏巷，", "与全角", "①②，™，‰，½，Ⅷ"):
        assert part in shown
    assert shown.index("已清运") < shown.index("野家门前") < shown.index("氏巷")
    assert await printed(reports, paper, "pdf") == pdf
    assert await printed(reports, paper, "docx") == docx


async def test_T06_a_name_may_have_any_middle_dot(reports: Inside) -> None:
    for dot in ("00b7", "2022", "2027", "30fb"):
        assert (await posted(reports, f"t06b-name-dot-{dot}.json")).status_code == 201


async def test_T06_erasing_finds_a_name_whichever_dot_it_has(reports: Inside) -> None:
    receipt = got(await posted(reports, "t06a-name-middle-dot.json"), 201)
    await step(reports, receipt["case"], "erase", {"reason": "本人要求"}, "office")
    assert "买买提" not in (await case_of(reports, receipt["case"]))["text"]


async def test_T08_an_override_of_direction_is_refused(reports: Inside) -> None:
    assert refusal(await posted(reports, "t08a-rlo.json")) == (422, CONTROL, "address")


async def test_T08_a_direction_mark_turns_no_house_number_round(reports: Inside) -> None:
    answer = await posted(reports, "t08b-rlm-alm.json")
    if answer.status_code != 201:
        assert refusal(answer) == (422, CONTROL, "address")
        return
    address = (await row_of(reports, answer.json()["case"], "csv"))["地址"]
    assert not re.search("[\u061c\u200e\u200f]", address) or re.fullmatch("\u2068.*\u2069", address)


FORMULAS = [f"t09{letter}-formula-like-address.json" for letter in "abcdefghi"]


async def test_T09_no_cell_is_a_formula_and_each_is_still_readable(reports: Inside) -> None:
    cases = {name: got(await posted(reports, name), 201)["case"] for name in FORMULAS}
    sheet = sheet_of(await exported(reports, "xlsx"))
    assert not any(cell.data_type == "f" for line in sheet.iter_rows() for cell in line)
    addresses = next(cell for cell in sheet[1] if cell.value == "地址").column
    assert {line[addresses - 1].data_type for line in sheet.iter_rows() if line[0].value in cases.values()} == {"s"}
    for name, case in cases.items():
        written = body(name)["address"].strip().replace("+86 138-0013-8000", "***")
        in_csv = (await row_of(reports, case, "csv"))["地址"]
        in_xlsx = (await row_of(reports, case, "xlsx"))["地址"]
        assert in_csv.lstrip("'\t ").rstrip() == written.lstrip("'\t ")
        assert not re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", in_csv), name
        assert written in in_xlsx


async def test_T10_what_looks_like_an_escape_of_workbooks_stays_text(reports: Inside) -> None:
    case = got(await posted(reports, "t10-ooxml-escape-in-address.json"), 201)["case"]
    content = await exported(reports, "xlsx")
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        xml = "".join(parts.read(name).decode() for name in parts.namelist() if name.endswith(".xml"))
    assert "祥光社区_x005F_x0041_栋_x005F_x000D_口" in xml
    assert case in xml


async def test_T11_words_without_end_stay_inside_the_page(reports: Inside) -> None:
    _, pdf, docx = await replied(reports, "t11a-reply-long-word.json")
    text = body("t11a-reply-long-word.json")["text"]
    assert text in words_of(docx)
    shown = Pdf(pdf).text
    for letter in "aW":
        assert len("".join(re.findall(f"{letter}{{3,}}", shown))) == len("".join(re.findall(f"{letter}{{3,}}", text)))


async def test_T11_a_reply_of_many_pages_is_whole(reports: Inside) -> None:
    _, pdf, docx = await replied(reports, "t11b-reply-400-lines.json")
    lines = body("t11b-reply-400-lines.json")["text"].count("已清")
    shown = Pdf(pdf)
    assert shown.text.count("已清") == lines
    assert words_of(docx).count("已清") >= lines


async def test_T12_a_person_in_the_text_is_gone_after_erasing(reports: Inside, portal: Inside) -> None:
    receipt = got(await posted(reports, "t12-name-and-numbers-in-address.json"), 201)
    case, persons = (
        receipt["case"],
        ("王小明", "13800138000", "１３８００１３８０００", "138 0013 8000", "8888888", "wang@"),
    )
    everybody = [
        await reports.http.get(f"/cases/{case}"),
        await reports.http.get("/cases/map", params={"bbox": "112.59,26.88,112.61,26.90"}),
    ]
    assert not any(person in answer.text for answer in everybody for person in persons)
    await step(reports, case, "erase", {"reason": "本人要求"}, "office")
    left = [
        (await reports.http.get(f"/cases/{case}", headers=reports.token("office"))).text,
        str(await row_of(reports, case, "csv")),
        repr(await reports.runtime.store.driver.find(CASES.name, {"_id": case})),
        repr([row.value for row in await reports.runtime.store.find(OUTBOX, {"subject": case})]),
    ]
    assert [(person, place) for person in persons for place, text in enumerate(left) if person in text] == []
    found = await reports.http.get("/cases", params={"text": "13800138000"}, headers=reports.token("office"))
    assert case not in found.text


async def test_T14_a_comparison_sign_is_no_markup(reports: Inside, portal: Inside) -> None:
    receipt = got(await posted(reports, "t14-less-than-sign.json"), 201)
    assert (await case_of(reports, receipt["case"]))["text"] == body("t14-less-than-sign.json")["text"]


async def test_T14_the_form_shows_a_comparison_sign_escaped(portal: Inside) -> None:
    page = await form(portal, {"text": "井盖下沉<A3纸那么大", "community": ""})
    assert page.status_code == 422
    assert "井盖下沉&lt;A3纸那么大" in page.text


async def test_T02_every_part_of_an_exported_workbook_is_well_formed(reports: Inside) -> None:
    await filed(reports)
    with zipfile.ZipFile(io.BytesIO(await exported(reports, "xlsx"))) as parts:
        for name in parts.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(parts.read(name))  # noqa: S314  (our own file)
