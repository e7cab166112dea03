"""The scheme as the table that offices pass around (责任分解表): a row for each standard.

Rows are read as they are written: what a table says is the scheme it came from. Everything that is wrong with a table
is told at once, each fault by the cell that it is in ("D7").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import islice

from services.scoring.domain.marking import Marking, RuleKind
from services.scoring.domain.schemes import (
    LIST_LIMIT,
    STANDARDS_LIMIT,
    Category,
    Content,
    DistrictCodes,
    Method,
    Standard,
    Tree,
    faults,
    tidied,
)
from services.scoring.domain.writing import CODE_LIMIT, is_day
from shared.errors import DomainError, Invalid
from shared.writing import tidy

COLUMNS_LIMIT = 50
COMMAS_IN_NAMES = 4
Cell = object
"""What a cell of a workbook holds: text, a number, a date, nothing."""


class Column(StrEnum):
    """The columns by their headings, in the order in which they are written."""

    PART = "测评类别"
    CATEGORY_CODE = "项目编码"
    CATEGORY = "测评项目"
    CONTENT_CODE = "内容编码"
    CONTENT = "测评内容"
    CODE = "标准编码"
    TEXT = "测评标准"
    METHODS = "测评方法"
    POINTS = "分值"
    KIND = "计分方式"
    EACH = "每处扣分"
    TARGET = "目标数"
    VENUES = "点位类型"
    LEAD = "责任单位"
    SUPPORTING = "配合单位"
    DUE = "完成时间"
    SOURCE = "来源"


NEEDED = (
    *(Column.CATEGORY_CODE, Column.CATEGORY, Column.CONTENT_CODE, Column.CONTENT, Column.CODE, Column.TEXT),
    *(Column.METHODS, Column.POINTS, Column.KIND),
)
METHODS_ZH = {
    Method.MATERIAL: "材料审核",
    Method.FIELD: "实地考察",
    Method.SURVEY: "问卷调查",
    Method.OBSERVATION: "整体观察",
}
KINDS_ZH = {
    RuleKind.PER_FINDING: "每发现一处扣分",
    RuleKind.SHORTFALL: "每少一处扣分",
    RuleKind.RATIO: "按比例得分",
    RuleKind.ALL_OR_NOTHING: "不达标不得分",
}
SEPARATOR = "；"
_SEPARATORS = re.compile(r"[;；\n]")
_COMMAS = re.compile(r"[、,，]")
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")

_CATEGORY = {"code": Column.CATEGORY_CODE, "name": Column.CATEGORY, "part": Column.PART}
_CONTENT = {"code": Column.CONTENT_CODE, "name": Column.CONTENT}
_STANDARD = {
    "code": Column.CODE,
    "text": Column.TEXT,
    "methods": Column.METHODS,
    "points": Column.POINTS,
    "marking.kind": Column.KIND,
    "marking.each": Column.EACH,
    "marking.target": Column.TARGET,
    "venues": Column.VENUES,
    "lead": Column.LEAD,
    "supporting": Column.SUPPORTING,
    "due": Column.DUE,
    "source": Column.SOURCE,
}
_PATH = re.compile(r"categories\.(\d+)(?:\.contents\.(\d+)(?:\.standards\.(\d+))?)?\.([a-z]+(?:\.[a-z]+)?)")


class Words:
    """What people call the things that have codes: units, types of venues, methods, rules.

    A thing is written by its name, or by its code where another has the same name; it is read by either.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {code: tidy(name) for code, name in names.items()}
        all_names = list(self._names.values())
        self._codes = {name: code for code, name in self._names.items() if all_names.count(name) == 1}

    def written(self, code: str) -> str:
        """How it is written."""
        name = self._names.get(code, code)
        plain = self._codes.get(name) == code and name not in self._names and not _SEPARATORS.search(name)
        return name if plain else code

    def read(self, text: str) -> str | None:
        """Its code; None where nobody knows it."""
        return text if text in self._names else self._codes.get(text)


class Dictionary:
    """The words for all that a table names."""

    def __init__(self, units: Mapping[str, str], venues: Mapping[str, str]) -> None:
        self.known = DistrictCodes(units, venues)
        self.units, self.venues = Words(units), Words(venues)
        self.methods = Words({method.value: name for method, name in METHODS_ZH.items()})
        self.kinds = Words({kind.value: name for kind, name in KINDS_ZH.items()})


def headings() -> list[str]:
    """The first row."""
    return [column.value for column in Column]


def rows_of(tree: Tree, words: Dictionary) -> Iterator[list[Cell]]:
    """The rows below the headings."""
    for category in tree:
        for content in category.contents:
            for standard in content.standards:
                cells = _cells(category, content, standard, words)
                yield [cells[column] for column in Column]


def _cells(category: Category, content: Content, standard: Standard, words: Dictionary) -> dict[Column, Cell]:
    return {
        Column.PART: category.part,
        Column.CATEGORY_CODE: category.code,
        Column.CATEGORY: category.name,
        Column.CONTENT_CODE: content.code,
        Column.CONTENT: content.name,
        Column.CODE: standard.code,
        Column.TEXT: standard.text,
        Column.METHODS: _joined(words.methods, standard.methods),
        Column.POINTS: standard.points,
        Column.KIND: words.kinds.written(standard.marking.kind.value),
        Column.EACH: standard.marking.each,
        Column.TARGET: standard.marking.target,
        Column.VENUES: _joined(words.venues, standard.venues),
        Column.LEAD: "" if standard.lead is None else words.units.written(standard.lead),
        Column.SUPPORTING: _joined(words.units, standard.supporting),
        Column.DUE: None if standard.due is None else date.fromisoformat(standard.due),
        Column.SOURCE: standard.source,
    }


def _joined(words: Words, codes: Iterable[str]) -> str:
    return SEPARATOR.join(map(words.written, codes))


@dataclass(frozen=True)
class Broken:
    """A cell that cannot be taken for what it shows, and what is wrong with it; None where that is told elsewhere."""

    fault: DomainError | None


class TableReader:
    """Reads the rows of one table, the headings first, and gathers what is wrong."""

    def __init__(self, words: Dictionary) -> None:
        self._words = words
        self._places: dict[Column, int] = {}
        self._chapters: dict[str, _Chapter] = {}
        self._faults: list[DomainError] = []
        self._broken: set[str] = set()

    @property
    def faults(self) -> list[DomainError]:
        """What is wrong, row by row and cell by cell."""
        return sorted(self._faults, key=lambda fault: _order(fault.field or ""))

    def complain(self, fault: DomainError, cell: str) -> None:
        """Add what is wrong with a cell."""
        fault.field = cell
        self._faults.append(fault)

    def skip(self, broken: Broken, cell: str) -> None:
        """Say nothing of this cell but what is wrong with it."""
        self._broken.add(cell)
        if broken.fault is not None:
            self.complain(broken.fault, cell)

    def read(self, rows: Iterable[tuple[int, Sequence[Cell]]]) -> Tree:
        """The tree of the rows, each with its number from 1. Empty rows are left out.

        Worth something only while there are no `faults`. Raises Invalid (too-many-rows).
        """
        taken = iter(rows)
        self._read_headings(next(taken, (1, ()))[1])
        if self._faults:
            return ()
        count = 0
        for number, cells in taken:
            if all(_blank(cell) for cell in cells):
                continue
            count += 1
            if count > STANDARDS_LIMIT:
                raise Invalid("too-many-rows", limit=STANDARDS_LIMIT)
            self._take(_Row(self, number, cells, self._places))
        tree = tuple(chapter.category() for chapter in self._chapters.values())
        self._judge(tree)
        return () if self._faults else tidied(tree)

    def cell(self, column: Column, row: int) -> str:
        """What a spreadsheet calls the cell in that row."""
        return f"{letters(self._places.get(column, 0))}{row}"

    def _read_headings(self, cells: Sequence[Cell]) -> None:
        """No column is left out unsaid."""
        known = {column.value: column for column in Column}
        for place, cell in enumerate(cells):
            where = f"{letters(place)}1"
            if isinstance(cell, Broken):
                self.skip(cell, where)
            elif (text := _text(cell)) is None or (text and text not in known):
                self.complain(Invalid("column-unknown", known="、".join(known)), where)
            elif text and known[text] in self._places:
                self.complain(Invalid("listed-twice", given=text), where)
            elif text:
                self._places[known[text]] = place
        for column in NEEDED:
            if column not in self._places and not self._faults:
                self.complain(Invalid("column-missing", column=column.value), "A1")

    def _take(self, row: _Row) -> None:
        code, name, part = row.text(Column.CATEGORY_CODE), row.text(Column.CATEGORY), row.text(Column.PART)
        chapter = self._chapters.setdefault(code, _Chapter(code, name, part, row.number))
        row.require_same(Column.CATEGORY, name, chapter.name, chapter.row)
        row.require_same(Column.PART, part, chapter.part, chapter.row)
        code, name = row.text(Column.CONTENT_CODE), row.text(Column.CONTENT)
        section = chapter.sections.setdefault(code, _Section(code, name, row.number))
        row.require_same(Column.CONTENT, name, section.name, section.row)
        section.standards.append(self._standard(row))
        section.rows.append(row.number)

    def _standard(self, row: _Row) -> Standard:
        kind = row.one(Column.KIND, self._words.kinds, _not_offered)
        return Standard(
            code=row.text(Column.CODE),
            text=row.text(Column.TEXT),
            points=row.amount(Column.POINTS) or Decimal(0),
            marking=Marking(RuleKind(kind or RuleKind.PER_FINDING), row.amount(Column.EACH), row.whole(Column.TARGET)),
            methods=tuple(map(Method, row.several(Column.METHODS, self._words.methods, _not_offered))),
            venues=tuple(row.several(Column.VENUES, self._words.venues, _no_venue_type)),
            lead=row.one(Column.LEAD, self._words.units, _no_unit),
            supporting=tuple(row.several(Column.SUPPORTING, self._words.units, _no_unit)),
            due=row.day(Column.DUE),
            source=row.text(Column.SOURCE),
        )

    def _judge(self, tree: Tree) -> None:
        """Add what is wrong with the tree, but for cells of which something was said already."""
        said = {fault.field for fault in self._faults} | self._broken
        chapters = list(self._chapters.values())
        for fault in faults(tree, self._words.known):
            cell = self._cell_of(fault.field or "", chapters)
            # A rule that could not be read says nothing of what belongs to it.
            if cell not in said and not (".marking." in (fault.field or "") and self._kind_cell(cell) in said):
                self.complain(fault, cell)

    def _kind_cell(self, cell: str) -> str:
        return self.cell(Column.KIND, _order(cell)[0])

    def _cell_of(self, path: str, chapters: Sequence[_Chapter]) -> str:
        found = _PATH.match(path)
        if found is None:
            return "A1"
        chapter = chapters[int(found[1])]
        if found[2] is None:
            return self.cell(_CATEGORY[found[4]], chapter.row)
        section = list(chapter.sections.values())[int(found[2])]
        if found[3] is None:
            return self.cell(_CONTENT[found[4]], section.row)
        return self.cell(_STANDARD[found[4]], section.rows[int(found[3])])


class _Section:
    """A content as its rows come in; `row` is the first of them."""

    def __init__(self, code: str, name: str, row: int) -> None:
        self.code, self.name, self.row = code, name, row
        self.standards: list[Standard] = []
        self.rows: list[int] = []


class _Chapter:
    """A category as its rows come in."""

    def __init__(self, code: str, name: str, part: str, row: int) -> None:
        self.code, self.name, self.part, self.row = code, name, part, row
        self.sections: dict[str, _Section] = {}

    def category(self) -> Category:
        contents = (Content(each.code, each.name, tuple(each.standards)) for each in self.sections.values())
        return Category(self.code, self.name, tuple(contents), self.part)


class _Row:
    """A row by its columns. What cannot be read is complained of, and stands for nothing."""

    def __init__(self, reader: TableReader, number: int, cells: Sequence[Cell], places: Mapping[Column, int]) -> None:
        self.number = number
        self._reader, self._cells, self._places = reader, cells, places
        headed = set(places.values())
        for place, cell in enumerate(cells):
            if isinstance(cell, Broken):
                reader.skip(cell, f"{letters(place)}{number}")
            elif place not in headed and not _blank(cell):
                reader.complain(Invalid("column-without-heading"), f"{letters(place)}{number}")
        for column in NEEDED:
            if _blank(self._cell(column)):
                self._refuse(column, Invalid("cell-required"))

    def text(self, column: Column) -> str:
        text = _text(self._cell(column))
        if text is None:
            self._refuse(column, Invalid("cell-unreadable"))
        return text or ""

    def amount(self, column: Column) -> Decimal | None:
        """A number, exactly as it is written."""
        if not (text := self.text(column)):
            return None
        try:
            number = Decimal(_folded(text))
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
        self._refuse(column, Invalid("cell-unreadable"))
        return None

    def whole(self, column: Column) -> int | None:
        """A count."""
        number = self.amount(column)
        # What has a long exponent is no count, and would take long to write out.
        if number is None or (abs(number) <= 10**9 and number == number.to_integral_value()):
            return None if number is None else int(number)
        self._refuse(column, Invalid("cell-unreadable"))
        return None

    def day(self, column: Column) -> str | None:
        """A date, or what reads as one; an hour is left out."""
        cell = self._cell(column)
        if isinstance(cell, date):
            return (cell.date() if isinstance(cell, datetime) else cell).isoformat()
        if not (text := self.text(column)):
            return None
        found = _DAY.fullmatch(_folded(text))
        day = f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}" if found else ""
        if is_day(day):
            return day
        self._refuse(column, Invalid("cell-unreadable"))
        return None

    def one(self, column: Column, words: Words, unknown: Unknown) -> str | None:
        """The code of what a cell names; None where it names nothing, or nothing that is known."""
        text = self.text(column)
        found = words.read(text)
        if text and found is None:
            self._refuse(column, unknown(text[:CODE_LIMIT]))
        return found

    def several(self, column: Column, words: Words, unknown: Unknown) -> list[str]:
        """The codes of what a cell names: on lines of their own, or with semicolons or commas between."""
        codes = []
        for part in islice(_parts(self.text(column), words), LIST_LIMIT + 1):
            if (code := words.read(part)) is None:
                self._refuse(column, unknown(part[:CODE_LIMIT]))
            else:
                codes.append(code)
        return codes

    def require_same(self, column: Column, text: str, before: str, row: int) -> None:
        """One code has one name throughout."""
        if text != before:
            self._refuse(column, Invalid("cell-differs", other=self._reader.cell(column, row)))

    def _cell(self, column: Column) -> Cell:
        place = self._places.get(column)
        return self._cells[place] if place is not None and place < len(self._cells) else None

    def _refuse(self, column: Column, fault: DomainError) -> None:
        if not isinstance(self._cell(column), Broken):
            self._reader.complain(fault, self._reader.cell(column, self.number))


Unknown = Callable[[str], DomainError]


def _not_offered(given: str) -> DomainError:
    return Invalid("cell-not-offered", given=given)


def _no_venue_type(given: str) -> DomainError:
    return Invalid("venue-type-unknown", given=given)


def _no_unit(given: str) -> DomainError:
    return Invalid("unit-unknown", given=given)


def letters(column: int) -> str:
    """What a spreadsheet calls its columns, from 0: A to Z, AA and on."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _order(cell: str) -> tuple[int, int, str]:
    """By row, then by column."""
    column = cell.rstrip("0123456789")
    return int(cell[len(column) :] or 0), len(column), column


def _parts(text: str, words: Words) -> Iterator[str]:
    """What stands between separators; a comma is one only where no name has it ("商场、超市")."""
    for line in filter(None, map(str.strip, _SEPARATORS.split(text))):
        whole = words.read(line) is not None
        pieces = [line] if whole else list(filter(None, map(str.strip, _COMMAS.split(line))))
        while pieces:
            counts = range(min(COMMAS_IN_NAMES + 1, len(pieces)), 1, -1)
            count = next((count for count in counts if words.read("、".join(pieces[:count])) is not None), 1)
            yield "、".join(pieces[:count])
            del pieces[:count]


def _blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _text(cell: Cell) -> str | None:
    """The text of a cell; None where it is something else, as a code that a spreadsheet took for a date."""
    if _blank(cell) or isinstance(cell, Broken):
        return ""
    if isinstance(cell, str):
        return tidy(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # what a spreadsheet makes of a whole number
    return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)


def _folded(text: str) -> str:
    """The text with full-width letters and digits as plain ones."""
    return unicodedata.normalize("NFKC", text).strip()
