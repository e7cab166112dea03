"""Who answers for what on which day, in whatever order that was written down, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.stack import DISTRICT
from services.scoring.district import District
from services.scoring.domain.facts import Fact
from services.scoring.domain.responsibility import (
    Duty,
    Gap,
    Member,
    Person,
    Plan,
    Row,
    Scope,
    State,
    TaskForce,
    checked,
    checked_file,
    laid,
    responsible_at,
    row_id,
    rows_for,
)
from services.scoring.domain.writing import day_of
from shared.attachments.kinds import Kind
from shared.contracts.scoring import FactKind
from shared.errors import DomainError, Invalid, Refused

NOW = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
TODAY = "2026-11-25"
SOMEBODY = Person("示例", "局长")
FORCE = TaskForce("环境卫生专班", (Member("示例甲", "组长"),))
WHOLE = Duty("huanwei", ("chengguan",), SOMEBODY, SOMEBODY, FORCE, "2027-03-31")
UNITS = District.load(DISTRICT).units
FINDING = Fact("inspections.visit/V7/1", FactKind.FINDING, "", "V7", NOW, NOW, indicator="I-1", standard="S-1")


def a_row(*terms: tuple[str, str | None], scope: Scope = Scope.INDICATOR, code: str = "I-1") -> Row:
    """A row whose leads were written in this order, each from its day on."""
    row = Row(row_id(scope, code), scope, code)
    for day, lead in terms:
        row.change(Duty(lead), day, row.newest, NOW, "office", "补记")
    return row


def lead_on(row: Row, day: str) -> str | None:
    duty = row.duty_on(day)
    return duty.lead if duty else None


def plan(unit: str) -> Plan:
    return Plan(1, unit, "a", Kind.PDF, 5, "0" * 64, NOW, "liaison")


days = st.dates(date(2026, 1, 1), date(2026, 3, 1)).map(date.isoformat)
leads = st.sampled_from(["huanwei", "chengguan", "huaxing", None])


@given(st.lists(st.tuples(days, leads), max_size=12), days)
def test_a_day_belongs_to_the_term_that_began_last_and_of_one_day_to_the_one_written_last(
    terms: list[tuple[str, str | None]], day: str
) -> None:
    painted: dict[str, str | None] = {}  # every day since the beginning, painted over by each term in its turn
    for begins, lead in sorted(terms, key=lambda term: term[0]):
        current = date.fromisoformat(begins)
        while current <= date(2026, 3, 1):
            painted[current.isoformat()] = lead
            current += timedelta(days=1)
    assert lead_on(a_row(*terms), day) == painted.get(day)


@given(st.dictionaries(days, leads, max_size=8).flatmap(lambda expected: st.permutations(list(expected.items()))), days)
def test_changes_of_different_days_say_the_same_in_whatever_order_they_were_written(
    terms: list[tuple[str, str | None]], day: str
) -> None:
    assert lead_on(a_row(*terms), day) == lead_on(a_row(*sorted(terms)), day)


@given(st.lists(st.tuples(days, leads), min_size=1, max_size=8), days)
def test_a_change_leaves_the_days_before_it_and_all_earlier_terms_as_they_were(
    terms: list[tuple[str, str | None]], day: str
) -> None:
    before, after = a_row(*terms[:-1]), a_row(*terms)
    if day < terms[-1][0]:
        assert lead_on(after, day) == lead_on(before, day)
    assert after.terms[: len(before.terms)] == before.terms


@given(st.lists(st.tuples(days, leads), max_size=5), st.lists(st.tuples(days, leads), max_size=5), days)
def test_a_standard_goes_before_its_indicator_while_its_row_names_anybody(
    of_standard: list[tuple[str, str | None]], of_indicator: list[tuple[str, str | None]], day: str
) -> None:
    standard = a_row(*of_standard, scope=Scope.STANDARD, code="S-1")
    rows = {row.id: row for row in (standard, a_row(*of_indicator))}
    noon = datetime.fromisoformat(f"{day}T12:00:00+08:00")
    duty = responsible_at(rows, rows_for(FINDING), noon)
    assert (duty.lead if duty else None) == (lead_on(standard, day) or lead_on(rows["indicator:I-1"], day))


def test_a_day_begins_at_midnight_in_china() -> None:
    row = a_row(("2026-11-01", "huanwei"), ("2026-12-01", "chengguan"))
    rows = {row.id: row}
    midnight = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    last, first = (responsible_at(rows, [row.id], at) for at in (midnight - timedelta(milliseconds=1), midnight))
    assert last is not None
    assert first is not None
    assert (last.lead, first.lead) == ("huanwei", "chengguan")


def test_a_finding_is_laid_to_the_lead_then_to_the_hint_then_to_nobody() -> None:
    row = a_row(("2026-11-01", "huanwei"))
    hinted = replace(FINDING, unit="huaxing")
    assert laid(hinted, {row.id: row}).unit == "huanwei"
    assert laid(hinted, {}).unit == "huaxing"
    assert laid(FINDING, {}).unit == ""
    assert laid(replace(FINDING, happened_at=NOW - timedelta(days=60)), {row.id: row}).unit == ""


@pytest.mark.parametrize("kind", [kind for kind in FactKind if kind is not FactKind.FINDING])
def test_what_happened_to_a_case_stays_with_the_unit_that_had_it(kind: FactKind) -> None:
    row = a_row(("2026-11-01", "huanwei"))
    fact = Fact("f", kind, "chengguan", "c", NOW, NOW, at_stake=Decimal(1), indicator="I-1")
    assert laid(fact, {row.id: row}).unit == "chengguan"
    assert laid(replace(fact, unit=""), {row.id: row}).unit == "huanwei"


def test_what_is_missing_is_named_one_by_one() -> None:
    row = a_row()
    assert row.gaps(TODAY) == (Gap.ROW,)
    row = a_row(("2026-11-01", "huanwei"))
    assert row.gaps("2026-10-31") == (Gap.ROW,)
    assert row.gaps(TODAY) == (Gap.PLAN, Gap.TASK_FORCE, Gap.LEADER, Gap.LIAISON)
    row.change(WHOLE, TODAY, 1, NOW, "office")
    assert row.gaps(TODAY) == (Gap.PLAN,)
    row.hand_in(plan("huanwei"))
    assert row.gaps(TODAY) == ()
    assert row.gaps("2027-03-31") == ()
    assert row.gaps("2027-04-01") == (Gap.PAST_DUE,)
    row.state = State.DONE
    assert row.gaps("2027-04-01") == ()


def test_who_takes_over_makes_a_plan_of_its_own() -> None:
    row = a_row()
    row.change(WHOLE, TODAY, 0, NOW, "office")
    row.hand_in(plan("huanwei"))
    row.change(replace(WHOLE, lead="gongce"), "2026-12-01", 1, NOW, "office")
    assert (row.gaps("2026-11-30"), row.gaps("2026-12-01")) == ((), (Gap.PLAN,))
    row.hand_in(plan("gongce"))
    assert row.gaps("2026-12-01") == ()


def test_a_standard_needs_neither_plan_nor_task_force_nor_a_row() -> None:
    assert a_row(scope=Scope.STANDARD).gaps(TODAY) == ()
    row = a_row(("2026-11-01", "huanwei"), scope=Scope.STANDARD)
    assert row.gaps(TODAY) == (Gap.LEADER, Gap.LIAISON)


def test_a_day_that_has_passed_takes_a_reason() -> None:
    row = a_row()
    with pytest.raises(Invalid, match="matrix-reason-required"):
        row.change(WHOLE, "2026-11-24", 0, NOW, "office")
    assert row.terms == []
    row.change(WHOLE, TODAY, 0, NOW, "office")
    row.change(WHOLE, "2026-11-24", 1, NOW, "office", "补记")
    assert [term.reason for term in row.terms] == ["", "补记"]


def test_what_somebody_else_wrote_meanwhile_is_not_written_over_and_nothing_new_is_no_term() -> None:
    row = a_row(("2026-11-25", "huanwei"))
    with pytest.raises(Refused, match="matrix-stale"):
        row.change(WHOLE, TODAY, 0, NOW, "office")
    assert row.change(Duty("huanwei"), TODAY, 1, NOW, "office") is None
    assert row.newest == 1


@pytest.mark.parametrize(
    ("duty", "code", "field"),
    [
        (replace(WHOLE, lead="nobody"), "unit-unknown", "lead"),
        (replace(WHOLE, supporting=("nobody",)), "unit-unknown", "supporting.0"),
        (replace(WHOLE, supporting=("huanwei",)), "listed-twice", "supporting.0"),
        (replace(WHOLE, supporting=("gongce", "gongce")), "listed-twice", "supporting.1"),
        (replace(WHOLE, lead=None), "matrix-without-lead", "lead"),
        (replace(WHOLE, due="2026-02-30"), "day-unfit", "due"),
        (replace(WHOLE, due="1999-01-01"), "day-unfit", "due"),
        (replace(WHOLE, leader=Person(" ")), "text-required", "leader.name"),
        (replace(WHOLE, liaison=Person("<b>")), "text-has-markup", "liaison.name"),
        (
            replace(WHOLE, task_force=TaskForce("x", (Member("甲", "员"), Member("甲 ", "员")))),
            "member-twice",
            "task_force.members.1",
        ),
        (replace(WHOLE, task_force=TaskForce("长" * 51)), "text-too-long", "task_force.name"),
    ],
)
def test_a_bad_duty_is_refused_by_name(duty: Duty, code: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        checked(duty, UNITS)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_the_sample_is_sound_and_leaves_gaps_to_be_seen() -> None:
    district = District.load(DISTRICT)
    assert {row.duty.lead for row in district.responsibility} <= set(UNITS)
    contents = [content for category in district.edition.wanted.tree for content in category.contents]
    leads = {row.code: row.duty.lead for row in district.responsibility}
    assert {content.code for content in contents} - set(leads) == {"示例-设施-02"}
    for content in contents:
        for standard in content.standards:
            if standard.lead is not None and content.code in leads:
                assert leads.get(standard.code, leads[content.code]) == standard.lead
    with pytest.raises(Invalid, match="listed-twice"):
        checked_file([district.responsibility[0], district.responsibility[0]], UNITS)


def test_days_are_those_of_china() -> None:
    assert day_of(datetime(2026, 11, 25, 16, 0, tzinfo=UTC)) == "2026-11-26"
