"""A month with everything it rests on in one file, and how anybody recomputes it from that file alone.

The file is lines of JSON, each in its one spelling (sorted keys, no spaces, no floating-point numbers):

    export     what this is, of which month, and whether that is sealed
    rule*      the rule book that the seal names
    scheme*    the standards of the assessment scheme that the seal names
    (seal | frozen, standing*)+   every month up to this one, oldest first: its seal, and where each unit stood
    row*       the ledgers of all units, by unit and number, from the first row to the last that was there when the
               month was frozen; `reversed_by` is the row that takes this one back
    end        how many lines there are before, and the SHA-256 of their bytes

Verifying is doing it again: every row is posted anew to a ledger that freezes where the real one did, and must come
out the same. Memory is that of standings, and of rows that are still to be taken back, not of all rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import NoReturn

from services.scoring.domain.ledger import Entry, Ledger, Standing, entry_hash, score_of
from services.scoring.domain.periods import (
    SUMMARY,
    Seal,
    SealedStanding,
    digest,
    seal_line,
    sealed_standings,
    standing_lines,
    written,
)
from services.scoring.domain.rules import Rule
from shared.audit import GENESIS, canonical
from shared.clock import CHINA
from shared.contracts.scoring import ChargeMade, EntryPosted
from shared.months import month_of, next_month

FORMAT = "chuangwen/scoring"
VERSION = 1
LINE_LIMIT = 256 * 1024
"""Bytes of one line."""
FRONT_LIMIT = 256 * 1024 * 1024
"""Bytes of all lines before the first row: these alone are held in memory."""

Signed = Callable[[str, bytes, str], bool]
"""Whether a signature (the third) of a message fits a public key (the first)."""

_AMOUNT = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_AMOUNTS = ("points", "claimed", "cap")
_COMPARED = tuple(field.name for field in fields(Entry) if field.name not in {"id", "hash", "previous"})
_CHARGED = tuple(name for name in ChargeMade.model_fields if name != "points")


class NotAnArchive(Exception):
    """The bytes are no archive that this program reads: `format`, `version` or `truncated`."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Difference:
    """The first place where the archive is not what it must be: `what`, at which line, of which unit, row and month.

    `expected` and `found` are told where one value was to be another.
    """

    what: str
    line: int
    unit: str = ""
    number: int = 0
    period: str = ""
    expected: str = ""
    found: str = ""


class Differs(Exception):
    """The archive was changed."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference)
        self.difference = difference


@dataclass(frozen=True)
class Verified:
    """What was found equal to a recomputation. `seal` is the month's; None where it is frozen and not sealed."""

    period: str
    units: int
    rows: int
    months: int
    seal: Seal | None


class ArchiveWriter:
    """The lines of an archive as bytes, and the line that ends them."""

    def __init__(self) -> None:
        self._lines, self._hash = 0, sha256()

    def add(self, line: str) -> bytes:
        """The bytes of the next line."""
        raw = f"{line}\n".encode()
        self._lines += 1
        self._hash.update(raw)
        return raw

    def end(self) -> bytes:
        """The last line."""
        return f"{written('end', {'lines': self._lines, 'sha256': self._hash.hexdigest()})}\n".encode()


def header_line(period: str, *, sealed: bool) -> str:
    """The first line."""
    return written("export", {"format": FORMAT, "version": VERSION, "period": period, "sealed": sealed})


def frozen_line(period: str, units: int) -> str:
    """What stands for the seal of a month that has none yet."""
    return written("frozen", {"period": period, "units": units})


def rule_lines(rules: Iterable[Rule]) -> Iterator[str]:
    """The rules, written out in the order of their codes and versions."""
    for rule in sorted(rules, key=lambda rule: (rule.code, rule.version)):
        yield written("rule", asdict(rule))


def row_line(row: Entry | EntryPosted, reversed_by: int | None) -> str:
    """A row of a ledger; what is None is left out, as in its hash."""
    values = {name: getattr(row, name) for name in EntryPosted.model_fields}
    return written("row", {k: v for k, v in {**values, "reversed_by": reversed_by}.items() if v is not None})


def verify(lines: Iterable[bytes], signed: Signed, key: str | None = None) -> Verified:
    """Recompute an archive, given as lines with their ends; `key` is the public key that the newest seal must have.

    Lines must not be longer than `LINE_LIMIT`, or cut there. Raises NotAnArchive and Differs, with the first
    difference in the order of the file.
    """
    return _Verifier(_Source(lines), signed, key).run()


class _Source:
    """The lines one by one, each looked at before it is taken."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._taken, self._hash = 0, sha256()
        self._raw = b""
        self.text = ""
        self.content: dict[str, object] = {}
        self.bytes_read = 0
        self.advance()

    @property
    def number(self) -> int:
        """Of the line looked at, from 1."""
        return self._taken + 1

    @property
    def kind(self) -> str:
        """What the line looked at is."""
        kind = self.content.get("line")
        return kind if isinstance(kind, str) else ""

    def take(self) -> None:
        """Go on to the next line. Raises NotAnArchive at the end of the file."""
        self._taken += 1
        self._hash.update(self._raw)
        self.advance()

    def advance(self) -> None:
        self._raw = next(self._lines, b"")
        self.bytes_read += len(self._raw)
        whole = self._raw.endswith(b"\n")
        if not whole and len(self._raw) < LINE_LIMIT:
            raise NotAnArchive("truncated" if self._taken else "format")
        self.text, self.content = (self._raw[:-1].decode(errors="replace"), _parsed(self._raw)) if whole else ("", {})

    def end(self) -> str | None:
        """What is wrong with the last line, or comes after it."""
        wanted = written("end", {"lines": self._taken, "sha256": self._hash.hexdigest()})
        if self.text != wanted:
            return "digest" if self.kind == "end" else "line"
        return "after-the-end" if next(self._lines, b"") else None


def _parsed(raw: bytes) -> dict[str, object]:
    """The members of the line; none when it is not an object in its one spelling (which rows are seen to later)."""
    try:
        found = json.loads(raw, parse_float=_refuse, parse_constant=_refuse)
        if not isinstance(found, dict):
            return {}
        fits = found.get("line") == "row" or canonical(found).encode() + b"\n" == raw
    except (ValueError, RecursionError, TypeError):
        return {}
    return found if fits else {}


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"not a number that can be told exactly: {text}")


@dataclass(frozen=True)
class _Month:
    period: str
    seal: Seal | None
    places: tuple[SealedStanding, ...]


@dataclass(frozen=True)
class _SealedRule:
    effective_from: str
    cap: Decimal | None


class _Verifier:
    def __init__(self, source: _Source, signed: Signed, key: str | None) -> None:
        self._source = source
        self._signed = signed
        self._key = key
        self._rules: dict[tuple[str, int], _SealedRule] = {}
        self._standards: dict[tuple[str, object], Decimal] = {}
        self._rows = 0
        self._suspect: Difference | None = None

    def run(self) -> Verified:
        period, sealed = self._header()
        rules = [*self._texts("rule", self._rule)]
        scheme = [*self._texts("scheme", self._standard)]
        months = [*self._months()]
        if not months or months[-1].period != period:
            self._differ("period", period=period)
        last = months[-1]
        if (last.seal is not None) is not sealed:
            self._differ("seal", period=period)
        if last.seal:
            self._texts_fit(last.seal, rules, scheme)
        self._ledgers(months)
        if self._suspect:
            raise Differs(self._suspect)
        if fault := self._source.end():
            self._differ(fault)
        return Verified(period, len(last.places), self._rows, len(months), last.seal)

    def _differ(self, what: str, **where: str | int) -> NoReturn:
        raise Differs(self._difference(what, **where))

    def _difference(self, what: str, **where: str | int) -> Difference:
        return replace(Difference(what, self._source.number), **where)  # type: ignore[arg-type]  # fields by name

    def _header(self) -> tuple[str, bool]:
        content, source = self._source.content, self._source
        if source.kind != "export" or content.get("format") != FORMAT:
            raise NotAnArchive("format")
        if content.get("version") != VERSION or isinstance(content.get("version"), bool):
            raise NotAnArchive("version")
        period, sealed = content.get("period"), content.get("sealed")
        fits = isinstance(period, str) and _PERIOD.fullmatch(period) and isinstance(sealed, bool)
        if not fits or source.text != header_line(str(period), sealed=bool(sealed)):
            self._differ("line")
        source.take()
        return str(period), bool(sealed)

    def _texts(self, kind: str, read: Callable[[Mapping[str, object]], None]) -> Iterator[str]:
        while self._source.kind == kind:
            try:
                read(self._source.content)
            except (ValueError, TypeError, KeyError):
                self._differ("line")
            yield self._source.text
            self._take_front()

    def _take_front(self) -> None:
        if self._source.bytes_read > FRONT_LIMIT:
            raise NotAnArchive("too-large")
        self._source.take()

    def _rule(self, content: Mapping[str, object]) -> None:
        cap, version = content["cap"], content["version"]
        if not isinstance(version, int):
            raise TypeError("a version is a number")
        rule = _SealedRule(str(content["effective_from"]), None if cap is None else _amount(cap))
        self._rules[str(content["code"]), version] = rule

    def _standard(self, content: Mapping[str, object]) -> None:
        self._standards[str(content["code"]), content["version"]] = _amount(content["points"])

    def _texts_fit(self, seal: Seal, rules: Iterable[str], scheme: list[str]) -> None:
        if digest(rules) != seal.rules:
            self._differ("rules", period=seal.id)
        if (digest(scheme) if scheme else None) != seal.scheme_text:
            self._differ("scheme", period=seal.id)

    def _months(self) -> Iterator[_Month]:
        before: _Month | None = None
        while self._source.kind in {"seal", "frozen"}:
            before = self._month(before)
            yield before

    def _month(self, before: _Month | None) -> _Month:
        content = self._source.content
        period, units = content.get("period"), content.get("units")
        if not (isinstance(period, str) and _PERIOD.fullmatch(period)):
            self._differ("line")
        if before and period != next_month(before.period):
            self._differ("period", period=period)
        seal = self._seal(period, before) if self._source.kind == "seal" else None
        if seal is None and self._source.text != frozen_line(period, units if isinstance(units, int) else 0):
            self._differ("line", period=period)
        self._take_front()
        places: list[SealedStanding] = []
        lines: list[str] = []
        while self._source.kind == "standing":
            places.append(self._place(period, places[-1].unit if places else ""))
            lines.append(self._source.text)
            self._take_front()
        self._check_places(period, places, before)
        if len(places) != units or (seal and digest(lines) != seal.standings):
            # Which unit it is shows when the ledgers are posted anew: told only if they do not.
            self._suspect = self._suspect or self._difference("standings", period=period)
        return _Month(period, seal, tuple(places))

    def _seal(self, period: str, before: _Month | None) -> Seal:
        content = self._source.content
        try:
            values = {name: content[name] for name in (*SUMMARY, "previous", "hash", "signature") if name != "period"}
            values["sealed_at"] = datetime.fromisoformat(str(values["sealed_at"]))
            seal = Seal(id=period, **values)  # type: ignore[arg-type]  # a seal of other types has another hash
            same = seal_line(seal) == self._source.text
            expected = seal.hashed().hash
        except (ValueError, TypeError, KeyError):
            self._differ("line", period=period)
        earlier = before.seal if before else None
        if not same or (before and not earlier):
            self._differ("seal", period=period)
        if (seal.previous, seal.number) != ((earlier.hash, earlier.number + 1) if earlier else (GENESIS, 1)):
            self._differ("seal-chain", period=period)
        if seal.hash != expected:
            self._differ("seal-hash", period=period, expected=expected, found=seal.hash)
        if not self._signed(seal.key, seal.message(), seal.signature):
            self._differ("signature", period=period)
        return seal

    def _place(self, period: str, before: str) -> SealedStanding:
        content = {name: value for name, value in self._source.content.items() if name not in {"line", "period"}}
        try:
            amounts = {name: _amount(content[name]) for name in ("points_lost", "score")}
            place = SealedStanding(**{**content, **amounts})  # type: ignore[arg-type]  # compared with the line just below
            [line] = standing_lines(period, [place])
            ordered = place.unit > before and all(
                type(number) is int and number >= 0 for number in (place.entries, place.rows)
            )
        except (ValueError, TypeError, KeyError):
            self._differ("line", period=period)
        if line != self._source.text or not ordered:
            self._differ("standing", unit=str(content.get("unit")), period=period)
        return place

    def _check_places(self, period: str, places: list[SealedStanding], before: _Month | None) -> None:
        known = {place.unit for place in places}
        for place in before.places if before else ():
            if place.unit not in known:
                self._differ("standing", unit=place.unit, period=period)
        for place, again in zip(places, sealed_standings(places), strict=True):
            if place.score != score_of(place.points_lost):
                self._standing(place, period, "score", score_of(place.points_lost), place.score)
            for name in ("rank", "group_rank"):
                if getattr(place, name) != getattr(again, name):
                    self._standing(place, period, name, getattr(again, name), getattr(place, name))

    def _standing(self, place: SealedStanding, period: str, what: str, expected: object, found: object) -> None:
        """A score or rank that does not fit; the ledger shows whether it is the one at fault."""
        self._suspect = self._suspect or self._difference(
            what, unit=place.unit, period=period, expected=str(expected), found=str(found)
        )

    def _ledgers(self, months: list[_Month]) -> None:
        marks: dict[str, list[tuple[str, SealedStanding]]] = {}
        for month in months:
            for place in month.places:
                marks.setdefault(place.unit, []).append((month.period, place))
        if self._key is not None and (seal := months[-1].seal) and seal.key != self._key:
            self._differ("key", period=seal.id, expected=self._key, found=seal.key)
        for unit, sealed in marks.items():
            again = _Again(unit, sealed, self._rules, self._standards)
            self._checked(again, again.freeze)
            while self._source.kind == "row" and self._source.content.get("unit") == unit:
                self._checked(again, lambda again=again: again.row(self._source.content, self._source.text))  # type: ignore[misc]
                self._rows += 1
                self._source.take()
            if self._source.kind not in {"row", "end"}:
                self._differ("line", unit=unit, number=again.number)
            self._checked(again, again.finish)
        if self._source.kind == "row":
            other_unit = self._source.content.get("unit")
            self._differ("put-in", unit=str(other_unit))

    def _checked(self, again: _Again, step: Callable[[], None]) -> None:
        number = again.number
        try:
            step()
        except _Unlike as unlike:
            where = {"period": unlike.period} if unlike.period else {"number": number}
            self._differ(unlike.what, unit=again.unit, expected=unlike.expected, found=unlike.found, **where)
        except (ValueError, TypeError, KeyError, ArithmeticError):
            self._differ("line", unit=again.unit, number=number)


class _Unlike(Exception):
    def __init__(self, what: str, expected: object = "", found: object = "", period: str = "") -> None:
        super().__init__(what)
        self.what, self.expected, self.found, self.period = what, str(expected), str(found), period


class _Again:
    """The ledger of a unit, posted anew from its rows."""

    def __init__(
        self,
        unit: str,
        marks: list[tuple[str, SealedStanding]],
        rules: Mapping[tuple[str, int], _SealedRule],
        standards: Mapping[tuple[str, object], Decimal],
    ) -> None:
        self.unit = unit
        self._standards_worth = standards
        self._marks = marks
        self._next = 0
        self._rules = rules
        self._ledger = Ledger(unit)
        self._standings: dict[str, Standing] = {}
        self._awaited: dict[int, Entry] = {}

    @property
    def number(self) -> int:
        """Of the row that is to come."""
        return self._ledger.rows + 1

    def row(self, content: Mapping[str, object], line: str) -> None:
        """Post the row anew. Raises _Unlike, and ValueError and its like for what is no row at all."""
        for name in _AMOUNTS:
            if name in content:
                _amount(content[name])
        row = EntryPosted.model_validate(content)
        by = content.get("reversed_by")
        if by is not None and not isinstance(by, int):
            raise TypeError("reversed_by is a row")
        if self._next == len(self._marks):
            raise _Unlike("put-in")
        number, head = self.number, self._ledger.head
        try:
            entry = self._posted(row) if row.reverses is None else self._reversed(row)
        except _Unlike:
            _require_sound(row, number, head)
            raise
        # Written out, the row and the one posted anew are the same only if all is, their hashes among it.
        if row_line(entry, by) != line:
            _require_sound(row, number, head)
            for name in _COMPARED:
                if getattr(entry, name) != getattr(row, name):
                    raise _Unlike(name, getattr(entry, name), getattr(row, name))
            raise _Unlike("line")
        self._check_rule(row)
        self._await(entry, by)
        self._standing(entry.period).count(entry)
        self.freeze()

    def freeze(self) -> None:
        """Freeze the months that were frozen after this row; each must stand as it was told."""
        while self._next < len(self._marks) and self._marks[self._next][1].rows == self._ledger.rows:
            period, place = self._marks[self._next]
            standing = self._standing(period)
            standing.freeze(self._ledger, datetime.min)  # noqa: DTZ901  (when it was is nowhere told)
            again = SealedStanding.of(standing, place.group)
            for name in ("points_lost", "score", "entries", "head", "ledger_head"):
                if getattr(again, name) != getattr(place, name):
                    raise _Unlike(name, getattr(again, name), getattr(place, name), period)
            self._ledger.frozen_through = period
            self._next += 1

    def finish(self) -> None:
        """Raises _Unlike for rows that are missing at the end."""
        if self._next < len(self._marks):
            raise _Unlike("cut-off", self._marks[self._next][1].rows, self._ledger.rows)
        if self._awaited:
            raise _Unlike("reverses", f"reversed_by {min(self._awaited)}")

    def _posted(self, row: EntryPosted) -> Entry:
        claimed = row.points if row.claimed is None else row.claimed
        charge = ChargeMade.model_construct(points=claimed, **{name: getattr(row, name) for name in _CHARGED})
        return self._ledger.post(charge, self._standing(month_of(row.happened_at)), row.posted_at)

    def _reversed(self, row: EntryPosted) -> Entry:
        taken_back = self._awaited.pop(row.number, None)
        if taken_back is None or taken_back.number != row.reverses:
            raise _Unlike("reverses", taken_back.number if taken_back else "", row.reverses)
        origin = self._standing(taken_back.origin)
        return self._ledger.reverse(taken_back, origin, row.basis, row.happened_at, row.posted_at)

    def _await(self, entry: Entry, by: int | None) -> None:
        if by is None:
            return
        if by <= entry.number or by in self._awaited or entry.reverses is not None:
            raise _Unlike("reverses", "", by)
        self._awaited[by] = entry

    def _check_rule(self, row: EntryPosted) -> None:
        """A row must rest on a rule of the book, in force when it happened, under the cap that the rule has."""
        rule = self._rules.get((row.rule, row.rule_version))
        if rule is None:
            raise _Unlike("rule", "", f"{row.rule}/{row.rule_version}")
        if row.reverses is None and f"{row.happened_at.astimezone(CHINA):%Y-%m-%d}" < rule.effective_from:
            raise _Unlike("rule", rule.effective_from, row.happened_at)
        self._check_cap(row, rule.cap)

    def _check_cap(self, row: EntryPosted, cap: Decimal | None) -> None:
        """The cap must be the rule's or, where that is less, what the standard is worth; see Rule.charge."""
        of_standard = row.bucket == f"standard:{row.standard}@{row.scheme}"
        if of_standard:
            worth = self._standards_worth.get((row.standard or "", row.scheme), row.cap)
            if row.cap is None or row.cap != worth or (cap is not None and row.cap > cap):
                raise _Unlike("cap", worth if cap is None or worth is None else min(cap, worth), row.cap)
        elif (row.bucket, row.cap) != (None if cap is None else f"rule:{row.rule}", cap):
            raise _Unlike("cap", cap, row.cap)

    def _standing(self, period: str) -> Standing:
        return self._standings.setdefault(period, Standing.of(self.unit, period))


def _require_sound(row: EntryPosted, number: int, head: str) -> None:
    """Raises _Unlike for a row that is not in its place, or was changed after it was written."""
    if row.number != number:
        raise _Unlike("misplaced", number, row.number)
    if row.previous != head:
        raise _Unlike("does-not-follow", head, row.previous)
    if row.hash != entry_hash(row):
        raise _Unlike("edited")


def _amount(text: object) -> Decimal:
    """An amount in the one spelling. Raises ValueError for anything else: an exponent could fill the memory."""
    if not (isinstance(text, str) and _AMOUNT.fullmatch(text)):
        raise ValueError("not an amount")
    return Decimal(text)
