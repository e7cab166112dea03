"""The closest rule decides, says why, and a district with a last resort leaves no case nowhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest

from services.reports.domain import ANY, Areas, Category, Name, Route, Router, Why
from services.reports.domain.hours import Hours, Window
from shared.workdays import WorkCalendar

CALENDAR = WorkCalendar()
NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
"""A Monday, 11:00 in Asia/Shanghai: the offices are open."""
NIGHT = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
"""The same Monday, 23:30."""
PLACE = Areas("c1", "s1", "g1")
NAMES = {code: Name(code.upper(), code) for code in ("u1", "u2", "u3", "day", "night", "c1", "s1", "g1", "com", "sub")}
OWN = {"c1": "com", "s1": "sub"}
LATE = (Window((1, 2, 3, 4, 5, 6, 7), time(22), time(6)),)

NOISE = Category("noise", 1, Name("噪声", "Noise"), "appearance", "5 working days", "示例", Decimal(1))
OWNED = replace(NOISE, unit="u1", supporting=("u2", "gone"))


def router(*routes: Route, own: dict[str, str] = OWN) -> Router:
    return Router(routes, own, NAMES, CALENDAR)


STEPS = [
    (Route("noise", "g1", "u3"), Why.CATEGORY_AND_GRID),
    (Route("noise", "c1", "u3"), Why.EXACT),
    (Route("noise", "s1", "u3"), Why.CATEGORY_AND_SUBDISTRICT),
    (Route("noise", ANY, "u3"), Why.CATEGORY),
]
AREA_STEPS = [
    (Route(ANY, "g1", "u3"), Why.GRID),
    (Route(ANY, "c1", "u3"), Why.COMMUNITY),
    (Route(ANY, "s1", "u3"), Why.SUBDISTRICT),
    (Route(ANY, ANY, "u3"), Why.DISTRICT),
]


@pytest.mark.parametrize(("closest", "why"), STEPS)
def test_a_row_for_the_category_comes_before_all_wider_ones_and_before_its_unit(closest: Route, why: Why) -> None:
    wider = [replace(row, unit="u2") for row, _ in [*STEPS, *AREA_STEPS] if row != closest]
    wider = wider[[row for row, _ in STEPS].index(closest) :]
    found = router(*wider, closest).route(OWNED, PLACE, NOON)
    assert (found.unit, found.why) == ("u3", why)


@pytest.mark.parametrize(("closest", "why"), AREA_STEPS)
def test_a_row_for_an_area_comes_before_all_wider_ones_and_before_the_areas_own_units(closest: Route, why: Why) -> None:
    wider = [replace(row, unit="u2") for row, _ in AREA_STEPS[[row for row, _ in AREA_STEPS].index(closest) + 1 :]]
    found = router(*wider, closest).route(NOISE, PLACE, NOON)
    assert (found.unit, found.why) == ("u3", why)


def test_the_categorys_own_unit_comes_before_any_row_that_does_not_name_the_category() -> None:
    found = router(*(row for row, _ in AREA_STEPS)).route(OWNED, PLACE, NOON)
    assert (found.unit, found.why) == ("u1", Why.CATEGORY)


def test_without_any_other_rule_the_area_answers_the_community_before_the_subdistrict() -> None:
    assert router().route(NOISE, PLACE, NOON).unit == "com"
    found = router(own={"s1": "sub"}).route(NOISE, PLACE, NOON)
    assert (found.unit, found.why) == ("sub", Why.SUBDISTRICT)


def test_without_a_last_resort_the_office_is_asked() -> None:
    found = router(own={}).route(NOISE, PLACE, NOON)
    assert (found.unit, found.why, found.supporting) == (None, Why.NO_RULE, ())
    assert found.reasons[-1].zh == "没有适用的规则：由创建办指定责任单位"


@pytest.mark.parametrize("left_to_office", [replace(NOISE, triage=True, supporting=("u2",)), OWNED])
def test_the_office_decides_where_a_category_or_a_row_says_so(left_to_office: Category) -> None:
    rows = [Route(ANY, ANY, "u3"), *([] if left_to_office.triage else [Route("noise", "c1", None)])]
    found = router(*rows).route(left_to_office, PLACE, NOON)
    assert (found.unit, found.why, found.supporting) == (None, Why.TRIAGE, ())


def test_a_row_comes_before_the_triage_of_its_category() -> None:
    assert router(Route("noise", "c1", "u3")).route(replace(NOISE, triage=True), PLACE, NOON).unit == "u3"


def test_windows_of_the_week_come_before_working_hours_and_those_before_all_hours() -> None:
    always = Route("noise", ANY, "u1")
    day, outside = replace(always, unit="day", when=Hours.WORKING), replace(always, unit="u2", when=Hours.OUTSIDE)
    duty = replace(always, unit="night", when=LATE)
    evening = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    text = {at: router(always, day, outside, duty).route(NOISE, PLACE, at).unit for at in (NOON, evening, NIGHT)}
    assert text == {NOON: "day", evening: "u2", NIGHT: "night"}
    assert router(always, duty).route(NOISE, PLACE, NOON).unit == "u1"


def test_a_smaller_area_comes_before_closer_hours() -> None:
    found = router(Route("noise", ANY, "night", when=LATE), Route("noise", "c1", "u3")).route(NOISE, PLACE, NIGHT)
    assert found.unit == "u3"


def test_the_time_that_counts_is_that_of_the_offices() -> None:
    lunch, holiday = datetime(2026, 11, 23, 5, 0, tzinfo=UTC), datetime(2026, 10, 1, 3, 0, tzinfo=UTC)
    make_up_saturday = datetime(2026, 10, 10, 3, 0, tzinfo=UTC)
    rules = router(Route("noise", ANY, "day", when=Hours.WORKING))
    open_then = [rules.route(NOISE, PLACE, at).unit == "day" for at in (NOON, lunch, holiday, make_up_saturday)]
    assert open_then == [True, False, False, True]


def test_helpers_are_the_rows_or_else_the_categorys_without_the_lead_and_without_units_that_are_gone() -> None:
    assert router().route(OWNED, PLACE, NOON).supporting == ("u2",)
    rows = [Route("noise", "c1", "u2"), Route("noise", "g1", "u3", supporting=("u1",)), Route("noise", "s1", "u3", ())]
    table = router(*rows)
    assert table.route(OWNED, Areas("c1", "s1"), NOON).supporting == ()
    assert table.route(OWNED, PLACE, NOON).supporting == ("u1",)
    assert table.route(OWNED, Areas("", "s1"), NOON).supporting == ()


def test_a_unit_that_is_gone_gets_nothing_and_the_next_rule_is_asked() -> None:
    found = router().route(replace(NOISE, unit="gone"), PLACE, NOON)
    assert (found.unit, found.why) == ("com", Why.COMMUNITY)
    assert found.reasons[0] == Name("“噪声”：gone已不在责任单位之列", "“Noise”: gone is not a unit any more")


def test_the_reasons_are_the_rules_that_were_asked_and_the_last_one_decided() -> None:
    duty = Route("noise", "c1", "night", when=LATE)
    weekend = Route("noise", "c1", "u3", when=(Window((6, 7), time(9), time(12)),))
    found = router(duty, weekend, Route("noise", "s1", "u3", when=Hours.OUTSIDE)).route(NOISE, PLACE, NOON)
    assert [reason.zh for reason in found.reasons] == [
        "“噪声”在C1，每天22:00至次日06:00：此时不适用",
        "“噪声”在C1，周六、周日09:00至12:00：此时不适用",
        "“噪声”在S1，工作时间外：此时不适用",
        "“噪声”：未指定责任单位，由属地负责",
        "C1（属地）：由COM负责",
    ]
    assert found.reasons[1].en == "“Noise” in c1, Sat/Sun 09:00 to 12:00: does not hold at this time"
    decided = router(duty).route(NOISE, PLACE, NIGHT)
    assert [reason.en for reason in decided.reasons] == [
        "“Noise” in c1, daily 22:00 to 06:00 the next day: night answers for it"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Hours.ALWAYS, Hours.ALWAYS),
        (Hours.OUTSIDE, Hours.OUTSIDE),
        (LATE, (Window((3,), time(5), time(7)),)),
    ],
)
def test_two_rows_of_which_none_is_closer_are_refused(one: Hours, other: Hours) -> None:
    with pytest.raises(ValueError, match="routes 0 and 1"):
        router(Route("noise", "c1", "u1", when=one), Route("noise", "c1", "u2", when=other))
    assert router(Route("noise", "c1", "u1", when=one), Route("noise", "s1", "u2", when=other))
