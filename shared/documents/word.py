"""A paper as DOCX, for offices that fill it in by hand or go on writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docx import Document
from docx.document import Document as File
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_ROW_HEIGHT_RULE, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.shared import Length, Mm, Pt
from docx.styles.style import ParagraphStyle
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph

from shared.clock import CHINA
from shared.documents.code import qr_png
from shared.documents.paper import Link, Paper, Row, plain

LATIN, SONG, FANGSONG, HEI = "Times New Roman", "宋体", "仿宋", "黑体"
"""Fonts that Chinese offices have, in Word as in WPS."""
MEASURE, LABEL, CODE, SIGNATURE = Mm(156), Mm(34), Mm(30), Mm(80)
FRAME = CODE + Mm(4)
PADDING = Pt(3.5)
TITLE, NUMBER, FACT, LABELS, SMALL = "公文标题", "公文编号", "公文表格", "公文表头", "公文附注"
CENTRE, LEFT, BOTH = WD_ALIGN_PARAGRAPH.CENTER, WD_ALIGN_PARAGRAPH.LEFT, WD_ALIGN_PARAGRAPH.JUSTIFY
CORE_LIMIT = 255
"""Characters of a property of the file, as python-docx has it."""


def to_docx(paper: Paper) -> bytes:
    """The paper as DOCX. Characters that the reader's fonts lack are the reader's program's to replace."""
    paper = paper.written(plain)
    file = Document()
    _set_styles(file)
    _set_page(file)
    _describe(file, paper)
    file.add_paragraph(paper.title, TITLE)
    _ruled(file.add_paragraph(paper.number, NUMBER))
    if paper.addressee:
        file.add_paragraph(f"{paper.addressee}：")
    _paragraphs(file, paper.opening)
    if paper.rows:
        file.paragraphs[-1].paragraph_format.space_after = Pt(6)
        _facts(file, paper.rows)
        file.add_paragraph(style=SMALL).paragraph_format.line_spacing = Pt(6)
    for paragraph in _paragraphs(file, paper.closing):
        paragraph.paragraph_format.keep_with_next = True
    _ending(file, paper)
    for number, note in enumerate(paper.notes or ("",)):
        file.add_paragraph(f"注：{note}" if note and number == 0 else f"　　{note}", SMALL)
    return _packed(file, paper)


def _set_page(file: File) -> None:
    """A4 with the margins of GB/T 9704-2012, and the page's number at its foot."""
    section = file.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(37), Mm(35)
    section.left_margin, section.right_margin = Mm(28), Mm(26)
    section.footer_distance = Mm(24)
    footer = section.footer.paragraphs[0]
    footer.style = NUMBER
    footer.add_run("— ")
    footer._p.append(_element("w:fldSimple", {"w:instr": "PAGE"}))
    footer.add_run(" —")


def _set_styles(file: File) -> None:
    normal = file.styles["Normal"]
    assert isinstance(normal, ParagraphStyle)  # noqa: S101  (the template's)
    _set_type(normal, FANGSONG, 16, 26)
    normal.paragraph_format.alignment = BOTH
    for name, font, size, leading, alignment in (
        (TITLE, SONG, 22, 34, CENTRE),
        (NUMBER, FANGSONG, 14, 26, CENTRE),
        (FACT, SONG, 12, 18, LEFT),
        (LABELS, HEI, 12, 18, CENTRE),
        (SMALL, SONG, 10.5, 17, BOTH),
    ):
        style = file.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        assert isinstance(style, ParagraphStyle)  # noqa: S101  (asked for one)
        style.base_style = normal
        _set_type(style, font, size, leading)
        style.paragraph_format.alignment = alignment
        style.font.bold = name == TITLE


def _set_type(style: ParagraphStyle, font: str, size: float, leading: float) -> None:
    style.font.name, style.font.size = LATIN, Pt(size)
    style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), font)
    style.paragraph_format.line_spacing = Pt(leading)
    style.paragraph_format.space_before = style.paragraph_format.space_after = Pt(0)


def _describe(file: File, paper: Paper) -> None:
    """What the file says of itself, instead of what python-docx would."""
    [language] = file.styles.element.xpath("w:docDefaults//w:lang")
    language.set(qn("w:eastAsia"), "zh-CN")
    properties = file.core_properties
    properties.title = f"{paper.title}{paper.number}"[:CORE_LIMIT]
    properties.author = properties.last_modified_by = paper.issuer[:CORE_LIMIT]
    properties.created = properties.modified = paper.date.astimezone(UTC)
    properties.comments, properties.language = "", "zh-CN"


def _facts(file: File, rows: Sequence[Row]) -> None:
    """The bordered table; a row may go on over the next page."""
    table = _columns(file, len(rows), (LABEL, MEASURE - LABEL), style="Table Grid")
    for row, line in zip(rows, table.rows, strict=True):
        line.height_rule, line.height = WD_ROW_HEIGHT_RULE.AT_LEAST, Length(row.room * Pt(18) + 2 * PADDING)
        label, value = line.cells
        label.vertical_alignment = value.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
        for cell, text, style in ((label, row.label, LABELS), (value, row.value, FACT)):
            paragraph = _first(cell, style, text)
            paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = PADDING


def _ending(file: File, paper: Paper) -> None:
    """The code at the left, issuer and date at the right, on one page with what is around them."""
    row = _columns(file, 1, (FRAME, MEASURE - FRAME - SIGNATURE, SIGNATURE)).rows[0]
    row._tr.get_or_add_trPr().append(_element("w:cantSplit"))
    code, _, signature = row.cells
    if paper.link is not None:
        _picture(_first(code, SMALL), paper.link)
        code.add_paragraph(paper.link.caption, SMALL).alignment = CENTRE
    signature.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.BOTTOM
    _first(signature, "Normal", f"\n{paper.signature}").alignment = CENTRE
    signature.add_paragraph(paper.day).alignment = CENTRE
    for paragraph in (*code.paragraphs, *signature.paragraphs):
        paragraph.paragraph_format.keep_with_next = True


def _picture(paragraph: Paragraph, link: Link) -> None:
    paragraph.alignment, paragraph.paragraph_format.line_spacing = CENTRE, 1.0
    inline = paragraph.add_run().add_picture(BytesIO(qr_png(link.url)), CODE)._inline
    inline.docPr.set("descr", link.url)
    for side in "TBLR":  # LibreOffice would keep text at a distance, and so the picture from its place
        inline.set(f"dist{side}", "0")


def _columns(file: File, rows: int, widths: Sequence[int], style: str | None = None) -> Table:
    table: Table = file.add_table(rows, len(widths), style)
    table.alignment, table.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Length(width)
        for cell in column.cells:
            cell.width = Length(width)
    return table


def _first(cell: _Cell, style: str, text: str = "") -> Paragraph:
    """The paragraph that a cell always has."""
    paragraph: Paragraph = cell.paragraphs[0]
    paragraph.style = style
    paragraph.add_run(text)
    return paragraph


def _paragraphs(file: File, texts: Sequence[str]) -> list[Paragraph]:
    """Body text, indented by two characters; programs that cannot count in characters take the points."""
    paragraphs = [file.add_paragraph(line) for text in texts for line in text.split("\n")]
    for paragraph in paragraphs:
        paragraph.paragraph_format.first_line_indent = Pt(2 * 16)
        paragraph._p.get_or_add_pPr().get_or_add_ind().set(qn("w:firstLineChars"), "200")
    return paragraphs


def _ruled(paragraph: Paragraph) -> None:
    """The red line below the head of a paper (版头分隔线)."""
    border = _element("w:pBdr")
    border.append(_element("w:bottom", {"w:val": "single", "w:sz": "8", "w:space": "4", "w:color": "C81010"}))
    paragraph.paragraph_format.space_after = Pt(10)
    paragraph._p.get_or_add_pPr().insert_element_before(border, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc")


def _element(tag: str, attributes: Mapping[str, str] | None = None) -> BaseOxmlElement:
    return OxmlElement(tag, {qn(name): value for name, value in (attributes or {}).items()})


def _packed(file: File, paper: Paper) -> bytes:
    """The file with the paper's date on every part, and without the template's picture of itself."""
    relations = file.part.package.rels
    for id in [id for id, relation in relations.items() if relation.reltype == RELATIONSHIP_TYPE.THUMBNAIL]:
        del relations[id]
    written, packed = BytesIO(), BytesIO()
    file.save(written)
    moment = paper.date.astimezone(CHINA).timetuple()[:6]
    with ZipFile(written) as parts, ZipFile(packed, "w") as package:
        for name in parts.namelist():
            part = ZipInfo(name, moment)
            part.create_system = 0
            package.writestr(part, parts.read(name), ZIP_DEFLATED)
    return packed.getvalue()
