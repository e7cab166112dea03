"""A chain shows whatever was done to it after it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.audit import GENESIS, AuditRow, Flaw, FlawKind, append, chain_hash, verify
from shared.audit.log import AUDIT, write_down
from shared.clock import FixedClock
from shared.errors import Refused
from shared.store import Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from tests.engine import NOON

START = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)


def written(count: int, chain: str = "cases") -> list[AuditRow]:
    rows: list[AuditRow] = []
    for number in range(1, count + 1):
        row = append(
            rows[-1] if rows else None,
            chain=chain,
            at=START + timedelta(minutes=number),
            who=f"officer-{number}",
            action="case.verified",
            subject=f"case-{number}",
            reason="现场复核通过",
            detail={"unit": "城管执法大队"},
        )
        rows.append(row)
    return rows


def test_rows_are_numbered_linked_and_stored_as_hashed() -> None:
    first, second = written(2)
    assert (first.id, first.number, first.previous) == ("cases:1", 1, GENESIS)
    assert (second.id, second.number, second.previous) == ("cases:2", 2, first.hash)
    assert first.at.microsecond == 456000
    adapter = TypeAdapter(AuditRow)
    stored = [adapter.validate_json(adapter.dump_json(row)) for row in (first, second)]
    assert stored == [first, second]
    assert verify(stored, head=second.hash) is None


def test_the_hash_is_what_its_description_says() -> None:
    fields = {"乙": None, "a": [True, 1, "x\n"], "at": START, "points": Decimal("-0.50")}
    line = '{"a":[true,1,"x\\n"],"at":"2026-11-23T01:02:03.456Z","points":"-0.5","乙":null}'
    found = hashlib.sha256(f"chuangwen/chain/1\n{GENESIS}\n{line}".encode()).hexdigest()
    assert chain_hash(GENESIS, fields) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("0.50"), Decimal("0.5")),
        (Decimal("1E+3"), Decimal("1000.000")),
        (Decimal("-0.00"), Decimal(0)),
        (START, START.astimezone(timezone(timedelta(hours=8)))),
        (START, START.replace(microsecond=456000)),
        ([1, "a"], (1, "a")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_equal_values_hash_alike(one: object, other: object) -> None:
    assert chain_hash(GENESIS, {"value": one}) == chain_hash(GENESIS, {"value": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": Decimal("0.5")}, {"a": Decimal("0.05")}),
        ({"a": Decimal(100)}, {"a": Decimal(1)}),
        ({"a": START}, {"a": START + timedelta(milliseconds=1)}),
        ({"a": True}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": 1}, {"a": "1"}),
        ({"a": "b,c"}, {"a": ["b", "c"]}),
    ],
)
def test_different_values_hash_differently(one: dict[str, object], other: dict[str, object]) -> None:
    assert chain_hash(GENESIS, one) != chain_hash(GENESIS, other)


def test_a_long_decimal_is_not_rounded() -> None:
    long = Decimal("1." + "0" * 40 + "1")
    with localcontext(prec=5):
        assert chain_hash(GENESIS, {"a": long}) != chain_hash(GENESIS, {"a": Decimal(1)})


@pytest.mark.parametrize("value", [0.5, date(2026, 11, 23), {1, 2}, b"x", {1: "a"}, [object()]])
def test_what_has_no_one_spelling_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        chain_hash(GENESIS, {"value": value})


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), START.replace(tzinfo=None)])
def test_what_has_no_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"canonical|aware"):
        chain_hash(GENESIS, {"value": value})


@pytest.mark.parametrize("previous", ["", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_hash_is_refused_as_the_previous_one(previous: str) -> None:
    with pytest.raises(ValueError, match="not a hash"):
        chain_hash(previous, {})


def test_a_row_of_another_chain_is_not_appended_to() -> None:
    with pytest.raises(ValueError, match="cases:1"):
        append(written(1)[0], chain="draws", at=START, who="a", action="b", subject="c")


def rehashed(row: AuditRow, **changes: Any) -> AuditRow:
    """The row as a forger would rewrite it, with a hash that fits."""
    row = replace(row, **changes)
    content = {name: value for name, value in vars(row).items() if name not in ("previous", "hash")}
    return replace(row, hash=chain_hash(row.previous, content))


ROWS = written(6)


@pytest.mark.parametrize(
    ("rows", "flaw"),
    [
        ([], None),
        (ROWS, None),
        (ROWS[:4], None),
        (ROWS[1:], Flaw(1, "cases:2", FlawKind.MISPLACED)),
        (ROWS[:2] + ROWS[3:], Flaw(3, "cases:4", FlawKind.MISPLACED)),
        (ROWS[:2] + ROWS[1:], Flaw(3, "cases:2", FlawKind.MISPLACED)),
        (ROWS[:2] + written(3, "draws")[2:], Flaw(3, "draws:3", FlawKind.MISPLACED)),
        ([*ROWS[:2], replace(ROWS[2], id="cases:9")], Flaw(3, "cases:9", FlawKind.MISPLACED)),
        ([*ROWS[:2], replace(ROWS[2], previous=GENESIS)], Flaw(3, "cases:3", FlawKind.UNLINKED)),
        ([*ROWS[:2], replace(ROWS[2], who="x"), *ROWS[3:]], Flaw(3, "cases:3", FlawKind.EDITED)),
        ([*ROWS[:2], rehashed(ROWS[2], who="x"), *ROWS[3:]], Flaw(4, "cases:4", FlawKind.UNLINKED)),
    ],
)
def test_the_first_flaw_is_named(rows: list[AuditRow], flaw: Flaw | None) -> None:
    assert verify(rows) == flaw


def test_only_the_head_shows_a_cut_or_a_chain_hashed_anew() -> None:
    head = ROWS[-1].hash
    assert verify(ROWS, head=head) is None
    assert verify([], head=GENESIS) is None
    assert verify(ROWS[:4], head=head) == Flaw(5, None, FlawKind.TRUNCATED)
    assert verify([], head=head) == Flaw(1, None, FlawKind.TRUNCATED)
    anew = [*ROWS[:-1], rehashed(ROWS[-1], who="x")]
    assert verify(anew) is None
    assert verify(anew, head=head) == Flaw(7, None, FlawKind.TRUNCATED)


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_chain_may_be_verified_in_pieces(cut: int) -> None:
    head = ROWS[-1].hash
    assert verify(ROWS[cut:], head=head, after=ROWS[cut - 1]) is None
    assert verify(ROWS[cut + 1 :], head=head, after=ROWS[cut - 1]) == Flaw(
        cut + 1, ROWS[cut + 1].id if cut < 5 else None, FlawKind.MISPLACED if cut < 5 else FlawKind.TRUNCATED
    )


Tampering = Callable[[list[AuditRow], int, int], list[AuditRow]]


def removed(rows: list[AuditRow], at: int, _: int) -> list[AuditRow]:
    return rows[:at] + rows[at + 1 :]


def inserted(rows: list[AuditRow], at: int, other: int) -> list[AuditRow]:
    return [*rows[:at], rows[other], *rows[at:]]


def swapped(rows: list[AuditRow], at: int, other: int) -> list[AuditRow]:
    rows = list(rows)
    rows[at], rows[other] = rows[other], rows[at]
    return rows


def cut(rows: list[AuditRow], at: int, _: int) -> list[AuditRow]:
    return rows[:at]


texts = st.text('ab0:,"\n城', max_size=6)


@st.composite
def edits(draw: st.DrawFn) -> Tampering:
    changes: dict[str, Any] = draw(
        st.one_of(
            *(
                st.fixed_dictionaries({name: texts})
                for name in ("id", "chain", "who", "action", "subject", "reason", "previous", "hash")
            ),
            st.fixed_dictionaries({"number": st.integers()}),
            st.fixed_dictionaries({"at": st.integers(1, 10**12).map(lambda ms: START + timedelta(milliseconds=ms))}),
            st.fixed_dictionaries({"detail": st.dictionaries(texts, texts)}),
        )
    )
    return lambda rows, at, _: [*rows[:at], replace(rows[at], **changes), *rows[at + 1 :]]


@given(
    count=st.integers(1, 8),
    tamper=st.sampled_from([removed, inserted, swapped, cut]) | edits(),
    places=st.tuples(st.integers(0, 7), st.integers(0, 7)),
)
def test_whatever_is_done_to_a_chain_is_found_where_it_was_done(
    count: int, tamper: Tampering, places: tuple[int, int]
) -> None:
    rows = written(count)
    changed = tamper(rows, places[0] % count, places[1] % count)
    flaw = verify(changed, head=rows[-1].hash)
    if changed == rows:
        assert flaw is None
    else:
        untouched = list(takewhile(lambda pair: pair[0] == pair[1], zip(rows, changed, strict=False)))
        assert flaw is not None
        assert flaw.number == len(untouched) + 1


async def test_a_row_is_there_with_what_it_tells_of_or_not_at_all() -> None:
    clock = FixedClock(NOON)
    store = Store(MemoryDriver(clock), clock)

    async def twice(uow: UnitOfWork) -> None:
        for number in (1, 2):
            await write_down(uow, "order:1", number, by="li", action="change", subject="1", reason="moved")

    async def refused(uow: UnitOfWork) -> None:
        await write_down(uow, "order:1", 3, by="li", action="change", subject="1")
        raise Refused("no")

    await store.run(twice)
    with pytest.raises(Refused):
        await store.run(refused)
    rows = await store.find(AUDIT, {"chain": "order:1"}, [("number", 1)])
    assert [(row.id, row.who, row.reason) for row in rows] == [
        ("order:1:1", "li", "moved"),
        ("order:1:2", "li", "moved"),
    ]
    assert verify(rows, rows[-1].hash) is None
