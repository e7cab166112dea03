"""An exported month is recomputed from its own lines, and no line of it can be other than it was."""

from __future__ import annotations

import asyncio
import functools
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scoring.domain.archive import LINE_LIMIT, Difference, Differs, NotAnArchive, Verified, verify
from services.scoring.domain.ledger import Entry, Ledger, entry_hash
from services.scoring.domain.periods import digest
from services.scoring.repo import ENTRIES, SEALS, STANDINGS, TEXTS
from shared.audit import canonical
from shared.months import month_of, next_month
from shared.signing import Signer, new_key, signed
from tests.unit.scoring.months import SIGNER, Months, two_months

THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def verified(content: bytes, key: str | None = SIGNER.public) -> Verified:
    file = io.BytesIO(content)
    return verify(iter(functools.partial(file.readline, LINE_LIMIT), b""), signed, key)


def fault_of(content: bytes, key: str | None = SIGNER.public) -> Difference | str:
    try:
        found = verified(content, key)
    except Differs as fault:
        return fault.difference
    except NotAnArchive as fault:
        return fault.what
    pytest.fail(f"found equal: {found}")


@functools.cache
def sample() -> bytes:
    async def made() -> bytes:
        return await (await two_months()).archive("2026-11")

    return asyncio.run(made())


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def ended(lines: list[bytes]) -> bytes:
    """The lines with a last one that fits them: what somebody would write who knows the format."""
    content = b"".join(lines)
    last = canonical({"line": "end", "lines": len(lines), "sha256": sha256(content).hexdigest()})
    return content + last.encode() + b"\n"


def test_an_export_is_equal_to_its_recomputation() -> None:
    found = verified(sample())
    assert (found.period, found.units, found.months) == ("2026-11", 3, 2)
    assert found.rows == sum(b'"line":"row"' in line for line in lines_of(sample()))
    assert found.seal is not None
    assert found.seal.key == SIGNER.public


def test_a_published_month_is_exported_the_same_byte_for_byte() -> None:
    async def again() -> bytes:
        months = await two_months()
        first = await months.archive("2026-11")
        await months.charge("huaxing", "5")
        await months.take_back("huaxing", 4)
        assert await months.archive("2026-11") == first
        return first

    assert verified(asyncio.run(again())).period == "2026-11"


def test_a_month_that_is_only_frozen_is_marked_so() -> None:
    async def made() -> bytes:
        months = await two_months()
        months.clock.set(datetime(2027, 1, 2, tzinfo=UTC))
        await months.freeze("2026-12")
        return await months.archive("2026-12", unsealed=True)

    content = asyncio.run(made())
    assert json.loads(lines_of(content)[0])["sealed"] is False
    assert verified(content).seal is None


@THOROUGH
@given(st.data())
def test_any_single_change_of_a_line_is_found(data: st.DataObject) -> None:
    """The promise of the product: edit, remove, insert or swap one line, and it is found."""
    lines = lines_of(sample())
    at = data.draw(st.integers(0, len(lines) - 1), label="line")
    how = data.draw(st.sampled_from(["edit", "remove", "double", "insert", "swap"]), label="how")
    changed = list(lines)
    if how == "edit":
        place = data.draw(st.integers(0, len(lines[at]) - 1), label="byte")
        put = data.draw(st.binary(min_size=0, max_size=3), label="put")
        changed[at] = lines[at][:place] + put + lines[at][place + 1 :]
    elif how == "remove":
        del changed[at]
    elif how == "double":
        changed.insert(at, lines[at])
    elif how == "insert":
        changed.insert(at, data.draw(st.sampled_from(lines) | st.binary(max_size=40).map(lambda b: b + b"\n")))
    else:
        other = data.draw(st.integers(0, len(lines) - 1), label="other")
        changed[at], changed[other] = changed[other], changed[at]
    if changed != lines:
        fault_of(b"".join(changed), key=None)


@THOROUGH
@given(st.data())
def test_it_is_found_as_well_where_the_last_line_was_made_to_fit(data: st.DataObject) -> None:
    lines = lines_of(sample())[:-1]
    at = data.draw(st.integers(0, len(lines) - 1), label="line")
    how = data.draw(st.sampled_from(["value", "remove", "double", "swap"]), label="how")
    changed = list(lines)
    if how == "value":
        found = json.loads(lines[at])
        name = data.draw(st.sampled_from(sorted(found)), label="field")
        found[name] = data.draw(_other(found[name]), label="value")
        changed[at] = canonical(found).encode() + b"\n"
    elif how == "remove":
        del changed[at]
    elif how == "double":
        changed.insert(at, lines[at])
    else:
        other = data.draw(st.integers(0, len(lines) - 1), label="other")
        changed[at], changed[other] = changed[other], changed[at]
    if changed != lines:
        fault_of(ended(changed), key=None)


def _other(value: object) -> st.SearchStrategy[object]:
    texts = st.sampled_from(["huaxing", "jinshan", "2026-10", "0.5", "7", "-1", "", "1e9", "2026-11-03T02:00:00.000Z"])
    other: st.SearchStrategy[object] = texts | st.integers(-3, 12) | st.none() | st.booleans()
    return other.filter(lambda each: canonical({"": each}) != canonical({"": value}))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_truncated_export_is_no_export(data: st.DataObject) -> None:
    content = sample()
    fault = fault_of(content[: data.draw(st.integers(0, len(content) - 1))])
    assert fault in {"truncated", "format"}


def edited(unit: str, number: int, change: dict[str, object]) -> bytes:
    """The sample with one row changed and nothing else."""
    found = lines_of(sample())
    for place, line in enumerate(found):
        row = json.loads(line)
        if (row["line"], row.get("unit"), row.get("number")) == ("row", unit, number):
            found[place] = canonical({**row, **change}).encode() + b"\n"
    return ended(found[:-1])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"points": "0.4"}, "edited"),
        ({"basis": "reports.case/another/1"}, "edited"),
        ({"period": "2026-12"}, "edited"),
        ({"previous": "f" * 64}, "does-not-follow"),
        ({"hash": "f" * 64}, "edited"),
        ({"number": 4}, "misplaced"),
        ({"reversed_by": 7}, "line"),
        ({"note": "x"}, "line"),
        ({"points": "1e999999999"}, "line"),
        ({"points": "NaN"}, "line"),
        ({"posted_at": "9999-12-31T23:59:59.999Z"}, "edited"),
    ],
    ids=str,
)
def test_the_first_row_that_differs_is_named(change: dict[str, object], what: str) -> None:
    fault = fault_of(edited("huaxing", 3, change))
    assert isinstance(fault, Difference)
    if what != "line" or "reversed_by" not in change:
        assert (fault.unit, fault.number, fault.what) == ("huaxing", 3, what)
    else:
        assert fault.unit == "huaxing"


def forged(signer: Signer, change: Callable[[Entry], None]) -> bytes:
    """An export of a service that was made to write other rows: hashed, sealed and signed as it should be."""
    add = Ledger._add

    def add_changed(ledger: Ledger, entry: Entry) -> Entry:
        before = ledger.head
        add(ledger, entry)
        change(entry)
        entry.previous = before
        entry.hash = ledger.head = entry_hash(entry)
        return entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "_add", add_changed)
        patch.setattr("tests.unit.scoring.months.SIGNER", signer)

        async def made() -> bytes:
            return await (await two_months()).archive("2026-11")

        return asyncio.run(made())


def at(unit: str, number: int, **change: object) -> Callable[[Entry], None]:
    def put(entry: Entry) -> None:
        if (entry.unit, entry.number) == (unit, number):
            for name, value in change.items():
                setattr(entry, name, value)

    return put


@pytest.mark.parametrize(
    ("change", "unit", "number", "what"),
    [
        (at("huaxing", 4, points=Decimal("0.9")), "huaxing", 4, "points"),
        (at("jinshan", 3, points=Decimal(-4)), "jinshan", 3, "points"),
        (at("huaxing", 5, points=Decimal("-0.9")), "huaxing", 5, "points"),
        (at("huaxing", 7, period="2026-10", belongs_to=None), "huaxing", 0, "points_lost"),
        (at("huaxing", 7, belongs_to=None), "huaxing", 7, "belongs_to"),
        (at("huaxing", 6, belongs_to="2026-10"), "huaxing", 6, "belongs_to"),
        (at("huaxing", 5, reverses=3), "huaxing", 5, "reverses"),
        (at("huaxing", 1, rule_version=9), "huaxing", 1, "rule"),
        (at("huaxing", 2, cap=Decimal(9)), "huaxing", 2, "cap"),
        (at("huaxing", 2, bucket=None, cap=None, claimed=None), "huaxing", 2, "cap"),
        (at("huaxing", 2, bucket="rule:another"), "huaxing", 2, "cap"),
        (at("huaxing", 1, bucket="mine", cap=Decimal(9), claimed=Decimal("0.5")), "huaxing", 1, "cap"),
        (at("yinguang", 2, cap=Decimal(9)), "yinguang", 2, "cap"),
        (at("yinguang", 3, points=Decimal("0.75")), "yinguang", 3, "points"),
    ],
    ids=["over the cap", "over the bonus", "too much taken back", "late into its month", "late and not marked",
         "marked and not late", "another row taken back", "no such rule", "another cap", "no cap", "another bucket",
         "a bucket of its own", "more than the standard is worth", "over the standard"],
)  # fmt: skip
def test_rows_that_break_a_rule_are_found_though_chained_sealed_and_signed(
    change: Callable[[Entry], None], unit: str, number: int, what: str
) -> None:
    fault = fault_of(forged(SIGNER, change))
    assert isinstance(fault, Difference)
    assert (fault.unit, fault.number, fault.what) == (unit, number, what)


def test_who_hashes_everything_anew_lacks_the_key() -> None:
    other = Signer.of(new_key())
    content = forged(other, at("nobody", 0))
    assert verified(content, key=None).seal is not None
    fault = fault_of(content)
    assert isinstance(fault, Difference)
    assert (fault.what, fault.expected, fault.found) == ("key", SIGNER.public, other.public)


@pytest.mark.parametrize(("kind", "what"), [("rule", "rules"), ("scheme", "scheme")])
def test_rules_and_scheme_are_those_that_were_sealed(kind: str, what: str) -> None:
    lines = lines_of(sample())
    place = next(number for number, line in enumerate(lines) if json.loads(line)["line"] == kind)
    lines[place] = canonical({**json.loads(lines[place]), "source": "另一来源"}).encode() + b"\n"
    fault = fault_of(ended(lines[:-1]))
    assert isinstance(fault, Difference)
    assert fault.what == what


def test_a_seal_that_is_signed_by_another_hand_is_found() -> None:
    lines = lines_of(sample())
    place = max(number for number, line in enumerate(lines) if json.loads(line)["line"] == "seal")
    seal = json.loads(lines[place])
    seal["signature"] = Signer.of(new_key()).sign(f"chuangwen/seal/1\n{seal['hash']}".encode())
    lines[place] = canonical(seal).encode() + b"\n"
    fault = fault_of(ended(lines[:-1]), key=None)
    assert isinstance(fault, Difference)
    assert (fault.what, fault.period) == ("signature", "2026-11")


@pytest.mark.parametrize("field", ["score", "points_lost", "rank", "group_rank", "entries", "head", "ledger_head"])
def test_a_standing_that_is_not_what_the_ledger_says_is_named(field: str) -> None:
    lines = lines_of(sample())
    for place, line in enumerate(lines):
        found = json.loads(line)
        if (found["line"], found.get("unit"), found.get("period")) == ("standing", "jinshan", "2026-11"):
            found[field] = (
                found[field] + 1
                if isinstance(found[field], int)
                else {"head": "f" * 64}.get(field.removeprefix("ledger_"), "99")
            )
            lines[place] = canonical(found).encode() + b"\n"
    fault = fault_of(ended(lines[:-1]), key=None)
    assert isinstance(fault, Difference)
    assert (fault.unit, fault.period) == ("jinshan", "2026-11")


def test_what_was_planted_in_the_database_is_named() -> None:
    async def planted() -> tuple[bytes, bytes]:
        months = await two_months()
        row = await months.store.get(ENTRIES, "huaxing:0000000003")
        assert row is not None

        async def change(uow: Any) -> None:
            uow.put(ENTRIES, replace(row, points=Decimal("0.1")))

        await months.store.run(change)
        changed = await months.archive("2026-11")
        await months.store.driver.delete(ENTRIES.name, {"_id": "huaxing:0000000003"})
        return changed, await months.archive("2026-11")

    changed, removed = asyncio.run(planted())
    for content, what in ((changed, "edited"), (removed, "misplaced")):
        fault = fault_of(content)
        assert isinstance(fault, Difference)
        assert (fault.unit, fault.number, fault.what) == ("huaxing", 3, what)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "format"),
        (b"\n", "format"),
        (b"PK\x03\x04 a zip\n", "format"),
        (b"{}\n", "format"),
        (b"[" * 200_000 + b"\n", "format"),
        (b'{"line":' * 20_000 + b"\n", "format"),
        (b"a" * (3 * LINE_LIMIT), "format"),
        (b'{"format":"chuangwen/scoring","line":"export","period":"2026-11","sealed":true,"version":2}\n', "version"),
        (b'{"format":"chuangwen/scoring","line":"export","period":"2026-11","sealed":true,"version":1}\n', "truncated"),
        (b"\xff\xfe\n", "format"),
        (b"9" * 10_000 + b"\n", "format"),
    ],
    ids=["empty", "blank", "zip", "object", "deep", "deep objects", "long", "version", "header", "bytes", "number"],
)  # fmt: skip
def test_what_is_no_export_is_told_from_one_that_was_changed(content: bytes, what: str) -> None:
    assert fault_of(content) == what


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b"a" * (2 * LINE_LIMIT),
        b'{"line":"row","points":0.5}',
        b'{"line":"row","points":NaN}',
        b"{",
    ],
    ids=["deep", "long", "float", "nan", "broken"],
)
def test_a_hostile_line_among_honest_ones_is_named(line: bytes) -> None:
    lines = lines_of(sample())
    lines.insert(30, line + b"\n")
    fault = fault_of(b"".join(lines))
    assert isinstance(fault, Difference)
    assert fault.line == 31


UNITS = ("huaxing", "jinshan", "yinguang")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["charge", "late", "back", "freeze", "next"]),
        st.sampled_from(UNITS),
        st.sampled_from(["rework", "acknowledged-late", "finding", "bonus"]),
        st.decimals("0.01", "9", places=2),
        st.integers(1, 12),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_whatever_happens_to_ledgers_their_export_is_equal_and_the_seals_are_chained(steps: list[Any]) -> None:
    async def run() -> None:
        months = await Months().begin()
        month, pending = "2026-10", 0
        for how, unit, rule, points, number in steps:
            signed_points = f"{-points if rule == 'bonus' else points}"
            if how == "charge":
                await months.charge(unit, signed_points, rule)
            elif how == "late":
                await months.charge(unit, signed_points, rule, at=months.clock.now() - timedelta(days=number * 4))
            elif how == "back":
                await months.take_back(unit, number)
            elif how == "next":
                months.clock.advance(timedelta(days=11))
            elif month < month_of(months.clock.now()):
                first = await months.store.find(STANDINGS, {}, [("period", 1)], 1)
                if pending == 0 and first:
                    month = min(month, first[0].period)
                await months.freeze(month)
                await months.publish(month)
                assert verified(await months.archive(month)).period == month
                month, pending = next_month(month), pending + 1
        seals = await months.store.find(SEALS, {}, [("_id", 1)])
        assert [seal.previous for seal in seals[1:]] == [seal.hash for seal in seals[:-1]]
        texts = await months.store.find(TEXTS, {})
        assert all(digest(text.lines) == text.id for text in texts)

    asyncio.run(run())
