"""Scores, ledgers and ranks, with the numbers of published months."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.ledger import Entry, Ledger, Standing, find_flaw, recompute
from services.scoring.domain.rules import Rule, RuleBook, Table
from shared.contracts.scoring import ChargeMade, FactKind

MORNING = datetime(2026, 11, 3, 1, 30, tzinfo=UTC)
OVERDUE = FactKind.OVERDUE


def charge(
    points: str, unit: str = "chengguan", at: datetime = MORNING, case: str = "20261103-ABCDEFGHJK"
) -> ChargeMade:
    return ChargeMade(
        unit=unit,
        case=case,
        category="street-vending",
        rule="case-overdue",
        rule_version=1,
        points=Decimal(points),
        basis=f"reports.case/{case}/2",
        happened_at=at,
    )


def posted(*points: str) -> tuple[Ledger, list[Entry]]:
    ledger = Ledger("chengguan")
    month = Standing.of("chengguan", "2026-11")
    return ledger, [ledger.post(charge(each, case=f"c{n}"), month, MORNING) for n, each in enumerate(points)]


@pytest.mark.parametrize(
    ("lost", "score"),
    [
        (["9.32"], "90.68"),
        (["10.00", "0.53"], "89.47"),
        (["10.29"], "89.71"),
        (["100"], "0"),
        (["60", "60"], "0"),
        ([], "100"),
    ],
)
def test_a_months_score_is_100_minus_the_points_lost_and_never_below_0(lost: list[str], score: str) -> None:
    """市容 of 蒸湘, 雁峰 and 高新区 in February 2019: 90.68, 89.47 and 89.71."""
    standing = Standing.of("chengguan", "2026-11")
    _, rows = posted(*lost)
    for row in rows:
        standing.count(row)
    assert standing.score == Decimal(score)
    assert standing.entries == len(lost)


def test_ten_times_a_tenth_is_one_point_exactly() -> None:
    standing = Standing.of("chengguan", "2026-11")
    for row in posted(*["0.1"] * 10)[1]:
        standing.count(row)
    assert standing.points_lost == 1


def test_the_rule_version_in_force_when_it_happened_applies() -> None:
    book = RuleBook(
        "current",
        1,
        [
            Rule("case-overdue", 2, "2026-12-01", OVERDUE, Table(Decimal(2))),
            Rule("case-overdue", 1, "2026-01-01", OVERDUE, Table(Decimal(1))),
        ],
    )
    november = datetime(2026, 11, 30, 15, 59, tzinfo=UTC)
    december = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    assert [rule.version for rule in book.in_force(november)] == [1]
    assert [rule.version for rule in book.in_force(december)] == [2]
    assert book.in_force(datetime(2025, 6, 1, tzinfo=UTC)) == []


def test_rows_are_numbered_and_chained() -> None:
    ledger, rows = posted("1", "0.5", "2")
    assert [row.number for row in rows] == [1, 2, 3]
    assert [row.previous for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert ledger.head == rows[-1].hash
    assert find_flaw("chengguan", rows, ledger.head) is None


@pytest.mark.parametrize(
    "change",
    [
        {"points": Decimal("0.4")},
        {"case": "another"},
        {"unit": "huanwei"},
        {"period": "2026-12"},
        {"posted_at": datetime(2026, 11, 4, tzinfo=UTC)},
        {"rule_version": 2},
        {"basis": "reports.case/another/2"},
        {"previous": "f" * 64},
        {"hash": "f" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_edited_row_is_found(change: dict[str, object]) -> None:
    ledger, rows = posted("1", "0.5", "2")
    rows[1] = replace(rows[1], **change)  # type: ignore[arg-type]  # fields of the parametrised change
    flaw = find_flaw("chengguan", rows, ledger.head)
    assert flaw is not None
    assert flaw.number == 2


@given(st.lists(st.decimals(0, 5, places=2), min_size=2, max_size=8), st.data())
def test_a_row_removed_inserted_or_moved_is_found(points: list[Decimal], data: st.DataObject) -> None:
    ledger, rows = posted(*map(str, points))
    at = data.draw(st.integers(0, len(rows) - 1))
    how = data.draw(st.sampled_from(["remove", "double", "swap"]))
    changed = list(rows)
    if how == "remove":
        del changed[at]
    elif how == "double":
        changed.insert(at, rows[at])
    else:
        other = (at + 1) % len(rows)
        changed[at], changed[other] = changed[other], changed[at]
    assert find_flaw("chengguan", changed, ledger.head) is not None


def test_points_written_otherwise_are_the_same_row() -> None:
    """What a database gives back as 0.50 was posted as 0.5."""
    ledger, rows = posted("0.5")
    assert find_flaw("chengguan", [replace(rows[0], points=Decimal("0.50"))], ledger.head) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12), st.decimals(0, 5, places=2)), max_size=20))
def test_standings_equal_a_recomputation_from_the_ledgers(charges: list[tuple[str, int, Decimal]]) -> None:
    ledgers: dict[str, Ledger] = {}
    standings: dict[str, Standing] = {}
    rows = []
    for unit, month, points in charges:
        at = datetime(2026, month, 15, tzinfo=UTC)
        standing = standings.setdefault(f"{unit}:2026-{month:02}", Standing.of(unit, f"2026-{month:02}"))
        row = ledgers.setdefault(unit, Ledger(unit)).post(charge(str(points), unit, at), standing, at)
        standing.count(row)
        rows.append(row)
    assert recompute(rows) == {id: standing.points_lost for id, standing in standings.items()}
