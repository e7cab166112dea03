"""Papers as DOCX and PDF: what is printed is what was said, whatever was said, and always the same."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from zipfile import ZipFile

import pylopdf_fonts_zh_cn
import pytest
import segno
from docx import Document
from docx.document import Document as File
from docx.oxml.ns import qn
from docx.table import Table
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.clock import CHINA
from shared.documents import Format, Link, Paper, Press, Row, to_docx, to_pdf
from shared.documents.lines import wrap
from shared.errors import Unavailable
from tests.pdf_reader import Pdf

URL = "https://chuangwen.example/cases/20261123-7Q2MZK4TB9"
ORDER = Paper(
    title="衡阳高新区创建全国文明城市问题交办单",
    number="〔2026〕第0001号",
    issuer="衡阳高新区创建办",
    date=datetime(2026, 11, 22, 16, 30, tzinfo=UTC),
    addressee="环卫所",
    opening=("现将下列问题交由你单位办理，请于2026年11月23日15时00分前完成整改。",),
    rows=(Row("案件编号", "20261123-7Q2MZK4TB9"), Row("情况说明", "垃圾桶满了没人清"), Row("签字", room=3)),
    closing=("整改完成后请填写《整改回执》。",),
    notes=("不属于你单位职责的，请及时退回。",),
    link=Link(URL, "扫码查看办理进度"),
)
EMPTY = Paper(title="", number="", issuer="", date=ORDER.date)
PRINTERS = [to_pdf, to_docx]
OUR_GLYPHS = {
    path.stem.split("-")[0]: TTFont(path, lazy=True).getBestCmap()
    for path in (pylopdf_fonts_zh_cn.serif_path(), pylopdf_fonts_zh_cn.sans_path())
}


def paper_of(text: str) -> Paper:
    """An order that has this to say."""
    return replace(ORDER, rows=(*ORDER.rows[:1], Row("情况说明", text), *ORDER.rows[2:]))


def words(file: File) -> list[str]:
    """The paragraphs of the body and of its tables, in order."""
    found: list[str] = []
    for part in file.iter_inner_content():
        if isinstance(part, Table):
            found += [paragraph.text for row in part.rows for cell in row.cells for paragraph in cell.paragraphs]
        else:
            found.append(part.text)
    return [text for text in found if text]


def modules(image: Image.Image) -> list[list[int]]:
    """A picture of a QR code as segno counts: 1 for dark, without the quiet zone."""
    size = len(EXPECTED_CODE)
    scale = image.width // (size + 8)
    assert image.size == (scale * (size + 8), scale * (size + 8))
    grey = image.convert("L")
    middles = [scale * (4 + number) + scale // 2 for number in range(size)]
    return [[int(grey.getpixel((x, y)) == 0) for x in middles] for y in middles]


EXPECTED_CODE = [list(row) for row in segno.make_qr(URL, error="m", boost_error=False).matrix]
EXPECTED = [
    ORDER.title,
    ORDER.number,
    "环卫所：",
    ORDER.opening[0],
    "案件编号",
    "20261123-7Q2MZK4TB9",
    "情况说明",
    "垃圾桶满了没人清",
    "签字",
    ORDER.closing[0],
    "扫码查看办理进度",
    "衡阳高新区创建办",
    "2026年11月23日",
    "注：不属于你单位职责的，请及时退回。",
]


def test_a_docx_says_it_all_in_order() -> None:
    assert [text.strip() for text in words(Document(BytesIO(to_docx(ORDER))))] == EXPECTED


def test_a_pdf_says_it_all_in_order_and_with_the_right_glyphs() -> None:
    pdf = Pdf(to_pdf(ORDER))
    at = 0
    for text in EXPECTED:
        at = pdf.text.index(text, at) + len(text)
    for font in pdf.fonts.values():
        subset, _, name = font.name.partition("+")
        assert len(subset) == 6
        for code, character in font.characters.items():
            if code in font.glyphs and character != "\0":
                assert font.glyphs[code] == OUR_GLYPHS[name][ord(character)], character


def test_the_code_leads_where_it_should() -> None:
    [image] = Pdf(to_pdf(ORDER)).images
    assert modules(image) == EXPECTED_CODE
    with ZipFile(BytesIO(to_docx(ORDER))) as parts:
        [picture] = [name for name in parts.namelist() if name.startswith("word/media/")]
        assert modules(Image.open(BytesIO(parts.read(picture)))) == EXPECTED_CODE


@pytest.mark.parametrize("to_file", PRINTERS)
def test_the_same_paper_is_the_same_file_in_every_process(to_file: Callable[[Paper], bytes]) -> None:
    elsewhere = replace(ORDER, date=ORDER.date.astimezone(CHINA))
    assert to_file(ORDER) == to_file(elsewhere)
    script = (
        "import sys; from tests.unit.test_documents import ORDER; import shared.documents as documents;"
        f"sys.stdout.buffer.write(documents.{to_file.__name__}(ORDER))"
    )
    environment = {"PYTHONHASHSEED": "7", "TZ": "America/Los_Angeles", "LC_ALL": "C", "USER": "somebody"}
    printed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert printed.stdout == to_file(ORDER)


def test_files_tell_of_the_paper_and_not_of_the_machine() -> None:
    pdf = to_pdf(ORDER)
    assert b"/CreationDate (D:20261123003000+08'00')" in pdf
    assert (Pdf(pdf).field("Title"), Pdf(pdf).field("Author")) == (ORDER.title + ORDER.number, ORDER.issuer)
    docx = to_docx(ORDER)
    core = Document(BytesIO(docx)).core_properties
    assert (core.title, core.author, core.last_modified_by) == (
        ORDER.title + ORDER.number,
        ORDER.issuer,
        ORDER.issuer,
    )
    assert core.created == core.modified == ORDER.date
    assert not core.comments
    with ZipFile(BytesIO(docx)) as parts:
        assert {part.date_time for part in parts.infolist()} == {(2026, 11, 23, 0, 30, 0)}
        assert not [name for name in parts.namelist() if "thumbnail" in name]


def test_an_ordinary_order_is_one_page_and_a_small_file() -> None:
    pdf = to_pdf(ORDER)
    assert len(pdf) < 100_000
    assert len(Pdf(pdf).pages) == 1
    assert len(to_docx(ORDER)) < 100_000


def test_what_the_fonts_lack_is_shown_as_a_box_and_the_rest_stays() -> None:
    paper = paper_of("满了🗑️，𠮷林路👨‍👩‍👧旁，e\u0301cole，\ue000，𠂇")
    assert "满了□，□林路□□□旁，école，□，𠂇" in Pdf(to_pdf(paper)).text
    assert "满了🗑️，𠮷林路👨‍👩‍👧旁，école，\ue000，𠂇" in words(Document(BytesIO(to_docx(paper))))


@pytest.mark.parametrize("to_file", PRINTERS)
def test_what_no_file_can_hold_is_shown_as_a_box(to_file: Callable[[Paper], bytes]) -> None:
    assert to_file(paper_of("a\x00b\x1bc\ud800d\u202ee\ufffef")) == to_file(paper_of("a□b□c□d□e□f"))
    assert to_file(paper_of("a\r\nb\rc\u2028d\te")) == to_file(paper_of("a\nb\nc\nd e"))


@settings(max_examples=8, deadline=None)
@given(st.text(max_size=120))
def test_any_text_can_be_printed(text: str) -> None:
    paper = replace(paper_of(text), title=text, addressee=text, closing=(text,), notes=(text,))
    assert Pdf(to_pdf(paper)).pages
    assert words(Document(BytesIO(to_docx(paper))))


@pytest.mark.parametrize(
    "text", ["垃圾成堆，无人清理。" * 200, "long words " * 180 + "end", "长\n" * 999 + "长", "，" * 2000, "w" * 2000]
)
def test_a_long_text_goes_on_over_the_pages_and_nothing_is_lost(text: str) -> None:
    pdf = Pdf(to_pdf(paper_of(text)))
    assert len(pdf.pages) >= 2
    label = ORDER.rows[1].label
    inside = [line for page in pdf.pages for line in page if line != label and not line.startswith("— ")]
    start = inside.index(ORDER.rows[0].value) + 1
    read = "".join(inside[start : inside.index(ORDER.rows[2].label)])
    assert read.replace(" ", "") == text.replace("\n", "").replace(" ", "")
    assert all(label in page for page in pdf.pages[:-1])
    assert [page[-1] for page in pdf.pages] == [f"— {number} —" for number in range(1, len(pdf.pages) + 1)]
    assert text in words(Document(BytesIO(to_docx(paper_of(text)))))


def test_a_row_of_a_docx_may_go_on_over_the_page_and_the_signature_may_not() -> None:
    facts, ending = Document(BytesIO(to_docx(paper_of("长" * 2000)))).tables
    assert not facts._tbl.findall(f".//{qn('w:cantSplit')}")
    assert ending._tbl.findall(f".//{qn('w:cantSplit')}")


@pytest.mark.parametrize("to_file", PRINTERS)
def test_everything_may_be_empty(to_file: Callable[[Paper], bytes]) -> None:
    for paper in (EMPTY, replace(EMPTY, rows=(Row(""),)), replace(EMPTY, link=Link(URL, ""))):
        assert to_file(paper)


@pytest.mark.parametrize(("lines", "pages"), [(17, 1), (18, 2), (19, 2), (23, 2)])
def test_the_signature_is_never_on_a_page_of_its_own(lines: int, pages: int) -> None:
    paper = replace(ORDER, rows=(Row("情况说明", "\n".join("一" for _ in range(lines))),))
    *_, last = printed = Pdf(to_pdf(paper)).pages
    assert len(printed) == pages
    assert {"　　整改完成后请填写《整改回执》。", "2026年11月23日", "注：不属于你单位职责的，请及时退回。"} <= set(last)


def widths(text: str) -> float:
    """As in a font: characters of Chinese are twice as wide."""
    return sum(1 if character.isascii() else 2 for character in text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("一二三四五六", ["一二三四五", "六"]),
        ("一二三四五。六", ["一二三四", "五。六"]),
        ("一二三四（五）", ["一二三四", "（五）"]),
        ("一二三abcdefg四", ["一二三", "abcdefg四"]),
        ("see you later now", ["see you", "later now"]),
        ("一二三四 五六", ["一二三四", "五六"]),
        ("abcdefghijklmn", ["abcdefghij", "klmn"]),
        ("一二2026年11月", ["一二2026年", "11月"]),
        ("。。。。。。", ["。。。。。", "。"]),
        ("　　一二三四", ["　　一二三", "四"]),
    ],
)
def test_lines_break_as_chinese_does(text: str, lines: list[str]) -> None:
    assert wrap(text, 10, widths) == lines


@given(st.text("一二三，。（）《》 ab12-\u3000", max_size=60), st.integers(2, 20))
def test_lines_fit_and_lose_nothing_but_blanks(text: str, width: int) -> None:
    lines = wrap(text, width, widths)
    assert all(widths(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "").replace("\u3000", "") == text.replace(" ", "").replace("\u3000", "")


async def test_a_press_prints_one_after_the_other_and_sends_away_what_it_cannot_hold() -> None:
    press = Press(most_waiting=2)
    first, second, third = await asyncio.gather(
        press.print(ORDER, Format.DOCX),
        press.print(ORDER, Format.PDF),
        press.print(ORDER, Format.DOCX),
        return_exceptions=True,
    )
    assert (first, second) == (to_docx(ORDER), to_pdf(ORDER))
    assert isinstance(third, Unavailable)
    assert await press.print(ORDER, Format.DOCX) == first
