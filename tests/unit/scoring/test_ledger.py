"""Caps, reversals, frozen months, and what the hash of a row covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from services.scoring.domain.ledger import (
    Bucket,
    entry_hash,
    find_flaw,
    recompute,
    standing_id,
)
from shared.audit import GENESIS, chain_hash
from shared.contracts.scoring import EntryPosted, FactKind
from tests.unit.scoring.ledgers import LATER, NOVEMBER, UNIT, Books, charge

DECEMBER = datetime(2026, 12, 3, 4, 0, tzinfo=UTC)
NEW_FIELDS: dict[str, Any] = {
    "kind": FactKind.FINDING,
    "indicator": "I-1",
    "standard": "I-1-2",
    "scheme": 3,
    "visit": "V-9",
    "finding": 4,
    "bucket": "rule:finding",
    "cap": Decimal(20),
    "claimed": Decimal("0.7"),
    "belongs_to": "2026-10",
    "reverses": 1,
}
"""Fields that rows did not have at first, each with a value it may have."""


@pytest.mark.parametrize("claims", [*permutations(["1.5", "1", "-0.5", "0.7"])])
def test_in_whatever_order_claims_come_they_cost_no_more_than_the_cap(claims: tuple[str, ...]) -> None:
    bucket = Bucket("rule:x", Decimal(2))
    assert sum(bucket.claim(Decimal(each)) for each in claims) == 2
    assert bucket.claimed == Decimal("2.7")


def test_what_a_bonus_earns_is_capped_as_well() -> None:
    bucket = Bucket("rule:bonus", Decimal(5))
    assert [bucket.claim(Decimal(each)) for each in ("-3", "-3", "-1", "4")] == [-3, -2, 0, 2]


def test_a_row_tells_what_was_claimed_and_what_it_came_to() -> None:
    """Acknowledging late costs a tenth each time and no more than 2 in a month."""
    books = Books()
    rows = [books.post(charge("0.1", cap="2")) for _ in range(25)]
    assert [row.points for row in rows] == [Decimal("0.1")] * 20 + [Decimal(0)] * 5
    assert {row.claimed for row in rows} == {Decimal("0.1")}
    assert books.lost() == {"2026-11": Decimal(2)}


def test_a_row_without_a_cap_claims_nothing_beside_its_points() -> None:
    assert Books().post(charge("0.5")).claimed is None


def test_each_bucket_and_each_month_has_a_cap_of_its_own() -> None:
    books = Books()
    for at, bucket in ((NOVEMBER, "rule:a"), (NOVEMBER, "rule:b"), (DECEMBER, "rule:a")):
        books.post(charge("3", at, cap="2", bucket=bucket))
    assert books.lost() == {"2026-11": Decimal(4), "2026-12": Decimal(2)}


def test_a_cap_that_was_changed_holds_for_what_was_claimed_under_it() -> None:
    books = Books()
    first, second = books.post(charge("3", cap="2")), books.post(charge("3", cap="4"))
    assert [first.points, second.points] == [2, 3]
    books.reverse(first)
    assert books.lost() == {"2026-11": Decimal(3)}


def test_a_row_taken_back_leaves_the_standing_as_if_it_had_never_been() -> None:
    books = Books()
    rows = [books.post(charge(points, cap="2")) for points in ("1.5", "1", "0.4")]
    assert [row.points for row in rows] == [Decimal("1.5"), Decimal("0.5"), 0]
    back = books.reverse(rows[0])
    assert (back.claimed, back.points) == (Decimal("-1.5"), Decimal("-0.6"))
    assert books.lost() == {"2026-11": Decimal("1.4")}
    for row in rows[1:]:
        books.reverse(row)
    assert books.lost() == {}
    assert find_flaw(UNIT, books.rows, books.ledger.head) is None


def test_a_row_that_came_to_nothing_under_its_cap_gives_nothing_back_when_it_is_taken_back() -> None:
    books = Books()
    books.post(charge("2", cap="2"))
    nothing = books.post(charge("1", cap="2"))
    assert books.reverse(nothing).points == 0
    assert books.lost() == {"2026-11": Decimal(2)}


def test_the_row_that_takes_one_back_says_which_and_why_and_repeats_what_it_was_about() -> None:
    books = Books()
    row = books.post(charge("1", cap="5", standard="I-1-2", scheme=3))
    back = books.reverse(row)
    assert (back.reverses, back.basis, back.happened_at, back.posted_at) == (1, "corrections/1", LATER, LATER)
    for name in ("case", "category", "rule", "rule_version", "kind", "standard", "scheme", "bucket", "cap", "period"):
        assert getattr(back, name) == getattr(row, name)
    assert back.belongs_to is None


def test_what_happened_in_a_frozen_month_counts_in_the_next_and_says_so() -> None:
    books = Books()
    books.post(charge("1"))
    books.freeze("2026-11")
    late = books.post(charge("0.5"))
    assert (late.period, late.belongs_to, late.origin) == ("2026-12", "2026-11", "2026-11")
    assert books.lost() == {"2026-11": Decimal(1), "2026-12": Decimal("0.5")}


def test_what_happened_long_before_counts_in_the_first_month_that_is_not_frozen() -> None:
    books = Books()
    books.freeze("2026-12")
    late = books.post(charge("0.5"))
    assert (late.period, late.belongs_to) == ("2027-01", "2026-11")


def test_a_late_row_shares_the_cap_of_the_month_in_which_it_happened() -> None:
    books = Books()
    books.post(charge("1.5", cap="2"))
    books.freeze("2026-11")
    assert books.post(charge("1.5", cap="2")).points == Decimal("0.5")
    assert books.post(charge("1.5", DECEMBER, cap="2")).points == Decimal("1.5")


def test_a_row_of_a_frozen_month_is_taken_back_in_the_next() -> None:
    books = Books()
    row = books.post(charge("1"))
    books.freeze("2026-11")
    back = books.reverse(row)
    assert (back.period, back.belongs_to) == ("2026-12", "2026-11")
    assert books.lost() == {"2026-11": Decimal(1), "2026-12": Decimal(-1)}
    assert books.month("2026-12").score == 101


def test_a_late_row_is_taken_back_where_it_counts() -> None:
    books = Books()
    books.post(charge("2", cap="2"))
    books.freeze("2026-11")
    capped, free = books.post(charge("1", cap="2")), books.post(charge("1"))
    for row in (capped, free):
        back = books.reverse(row)
        assert (back.period, back.belongs_to) == ("2026-12", "2026-11")
    assert books.lost() == {"2026-11": Decimal(2)}
    books.freeze("2026-12")
    assert books.reverse(free).period == "2027-01"


def test_a_frozen_standing_keeps_the_ledger_as_it_was_then() -> None:
    books = Books()
    row = books.post(charge("1"))
    books.freeze("2026-11")
    books.post(charge("1"))
    frozen = books.month("2026-11")
    assert (frozen.rows, frozen.ledger_head, frozen.head) == (1, row.hash, row.hash)
    assert frozen.event().frozen
    assert not books.month("2026-12").event().frozen


def test_a_row_from_before_there_were_more_fields_keeps_its_hash() -> None:
    """This hash was computed when rows had these eleven fields and no others."""
    row = Books().post(charge("0.5", kind=None))
    assert row.hash == "131066edeea920fe45fd3a264261d36a6a714e01adbf57230cc77dd6982d9824"
    names = ("unit", "number", "period", "case", "category", "rule", "rule_version", "points", "basis")
    body = {name: getattr(row, name) for name in (*names, "happened_at", "posted_at")}
    assert row.hash == chain_hash(GENESIS, body)


def test_every_field_that_is_new_is_covered() -> None:
    assert set(NEW_FIELDS) == {name for name, each in EntryPosted.model_fields.items() if not each.is_required()}


@pytest.mark.parametrize("name", NEW_FIELDS)
def test_a_new_field_set_changed_or_emptied_changes_the_hash(name: str) -> None:
    bare = Books().post(charge("0.5", kind=None))
    full = replace(bare, **NEW_FIELDS)
    other: Any = {"kind": FactKind.MANUAL, "cap": Decimal(19), "claimed": Decimal(1)}.get(name, "another")
    if isinstance(NEW_FIELDS[name], int):
        other = 99
    values: list[dict[str, Any]] = [{name: value} for value in (NEW_FIELDS[name], other, None)]
    hashes = {entry_hash(replace(full, **value)) for value in values}
    assert len(hashes) == 3
    assert entry_hash(replace(bare, **{name: NEW_FIELDS[name]})) != bare.hash


def test_what_is_told_of_a_row_has_the_rows_hash() -> None:
    row = replace(Books().post(charge("0.5")), **NEW_FIELDS)
    found = EntryPosted.model_validate(row, from_attributes=True)
    assert entry_hash(EntryPosted.model_validate_json(found.model_dump_json())) == entry_hash(row)


def test_rows_cut_off_at_the_end_are_found_by_the_head() -> None:
    books = Books()
    for _ in range(3):
        books.post(charge("1"))
    assert find_flaw(UNIT, books.rows[:2]) is None
    flaw = find_flaw(UNIT, books.rows[:2], books.ledger.head)
    assert flaw is not None
    assert (flaw.number, flaw.what) == (3, "cut-off")
    assert find_flaw(UNIT, [], GENESIS) is None


def test_standings_are_recomputed_from_the_ledger_with_all_that_was_late_capped_and_taken_back() -> None:
    books = Books()
    first = books.post(charge("1.5", cap="2"))
    books.post(charge("1.5", cap="2"))
    books.freeze("2026-11")
    books.post(charge("0.3"))
    books.reverse(first)
    found = recompute(books.rows)
    assert found == {standing_id(UNIT, period): each.points_lost for period, each in books.standings.items()}
