"""From rows to timed acts: nothing here touches a network or a clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from deploy.replay.plan import Act, Neighbourhood, Places, Plan, Translation, make_plan, next_start
from deploy.replay.source import LOS_ANGELES, Request, Skipped, read_requests
from services.reports.district import District
from shared.clock import CHINA
from shared.workdays import WorkCalendar

SAMPLES = Path(__file__).parents[2] / "deploy" / "sample"
HENGYANG = District.load(SAMPLES / "hengyang")
TRANSLATION = Translation.from_file(SAMPLES / "replay" / "mapping.json")
PLACES = Places(TRANSLATION.neighbourhoods, HENGYANG.map)
DAYS = timedelta(days=3)

ROW = Request(
    line=2,
    created=datetime(2018, 1, 2, 9, 0, tzinfo=LOS_ANGELES),
    closed=datetime(2018, 1, 2, 17, 30, tzinfo=LOS_ANGELES),
    kind="Bulky Items",
    status="Closed",
    channel="Call",
    address="A0001",
    neighbourhood="VENICE NC",
    spot=(-118.4661, 33.9931),
)


def plan_of(rows: Sequence[Request | Skipped], day: date | None = None, every: int = 1) -> Plan:
    return make_plan(rows, TRANSLATION, PLACES, horizon=DAYS, day=day, every=every)


def steps_of(closed: datetime | None) -> list[tuple[timedelta, Act]]:
    (case,) = plan_of([replace(ROW, closed=closed)]).cases
    return [(step.at, step.act) for step in case.steps]


def test_a_case_is_answered_when_the_data_say_so_then_checked_and_signed_off() -> None:
    (case,) = plan_of([ROW]).cases
    assert (case.line, case.at) == (2, timedelta(hours=9))
    assert (case.category, case.channel) == ("dumped-large-items", "hotline")
    assert [(step.at, step.act) for step in case.steps] == [
        (timedelta(hours=17, minutes=30), Act.ACKNOWLEDGE),
        (timedelta(hours=17, minutes=30), Act.REPLY),
        (timedelta(hours=18), Act.VERIFY),
        (timedelta(hours=19), Act.CLOSE),
    ]


def test_what_comes_after_the_horizon_does_not_happen() -> None:
    assert steps_of(None) == []
    assert steps_of(datetime(2018, 1, 5, tzinfo=LOS_ANGELES)) == []
    last_minute = datetime(2018, 1, 4, 23, 30, tzinfo=LOS_ANGELES)
    assert [act for _, act in steps_of(last_minute)] == [Act.ACKNOWLEDGE, Act.REPLY]


def test_days_are_counted_by_the_citys_clock_over_a_change_of_it() -> None:
    before_summer_time = replace(
        ROW,
        created=datetime(2018, 3, 10, 22, 0, tzinfo=LOS_ANGELES),
        closed=datetime(2018, 3, 11, 8, 0, tzinfo=LOS_ANGELES),
    )
    (case,) = plan_of([before_summer_time]).cases
    assert case.steps[0].at == timedelta(hours=32)


def test_the_fullest_day_is_played_unless_another_is_named() -> None:
    other = replace(ROW, created=ROW.created - timedelta(days=1), line=9)
    rows = [other, ROW, replace(ROW, line=3)]
    assert (plan_of(rows).day, len(plan_of(rows).cases), plan_of(rows).other_days) == (date(2018, 1, 2), 2, 1)
    named = plan_of(rows, day=date(2018, 1, 1))
    assert ([case.line for case in named.cases], named.other_days) == ([9], 2)


def test_cases_come_in_by_time_and_can_be_thinned() -> None:
    rows = [replace(ROW, line=line, created=ROW.created - timedelta(minutes=line)) for line in range(2, 12)]
    assert [case.line for case in plan_of(rows).cases] == list(range(11, 1, -1))
    assert [case.line for case in plan_of(rows, every=4).cases] == [11, 7, 3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (replace(ROW, kind="Volcano"), "type without a category here: 'Volcano'"),
        (replace(ROW, channel="Pigeon"), "channel unknown here: 'Pigeon'"),
        (Skipped(2, "unreadable"), "unreadable"),
    ],
)
def test_rows_without_a_meaning_here_are_told_and_left_out(row: Request | Skipped, reason: str) -> None:
    plan = plan_of([row, replace(ROW, line=3)])
    assert plan.skipped == (Skipped(2, reason),)
    assert [case.line for case in plan.cases] == [3]


def test_an_empty_file_is_an_empty_plan() -> None:
    assert plan_of([]).cases == ()


def test_texts_of_the_file_cannot_carry_markup() -> None:
    (case,) = plan_of([replace(ROW, status="<b>\u202eClosed\n")]).cases
    assert case.outcome.endswith("bClosed")


@pytest.mark.parametrize(
    "row",
    [ROW, replace(ROW, spot=None), replace(ROW, spot=(0.0, 0.0)), replace(ROW, spot=(-118.0, 90.0))],
)
def test_a_neighbourhood_lies_in_its_community(row: Request) -> None:
    community = TRANSLATION.neighbourhoods["VENICE NC"].community
    assert HENGYANG.community_at(PLACES.point(row)) == community


@pytest.mark.parametrize("row", [replace(ROW, neighbourhood=""), replace(ROW, neighbourhood="", spot=None)])
def test_without_a_neighbourhood_the_address_decides(row: Request) -> None:
    point = PLACES.point(row)
    assert HENGYANG.community_at(point) is not None
    assert PLACES.point(replace(row, line=99)) == point
    elsewhere = {PLACES.point(replace(row, address=f"B{number}")) for number in range(20)}
    assert len(elsewhere) == 20


def test_a_neighbourhood_keeps_its_shape() -> None:
    box = TRANSLATION.neighbourhoods["VENICE NC"].box
    south_west, north_east = PLACES.point(replace(ROW, spot=box[:2])), PLACES.point(replace(ROW, spot=box[2:]))
    middle = PLACES.point(replace(ROW, spot=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)))
    assert south_west.longitude < middle.longitude < north_east.longitude
    assert south_west.latitude < middle.latitude < north_east.latitude


def test_a_community_of_any_shape_is_hit() -> None:
    triangle = {
        "type": "FeatureCollection",
        "features": [
            {
                "properties": {"code": "c"},
                "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 1], [0, 0]]]},
            }
        ],
    }
    places = Places({"n": Neighbourhood("c", (0, 0, 1, 1))}, triangle)
    point = places.point(replace(ROW, neighbourhood="n", spot=(0.9, 0.9)))
    assert point.longitude + point.latitude < 1


@pytest.mark.parametrize(
    ("now", "day", "start"),
    [
        # From Monday 2026-11-23 09:00 to the Tuesday after it.
        (datetime(2026, 11, 23, 1, tzinfo=UTC), date(2018, 1, 2), date(2026, 11, 24)),
        # A Tuesday that has begun waits for the next one, also at 00:30 local time.
        (datetime(2026, 11, 23, 16, 30, tzinfo=UTC), date(2018, 1, 2), date(2026, 12, 1)),
        # Thursday 2026-10-01 is a holiday.
        (datetime(2026, 9, 28, 1, tzinfo=UTC), date(2018, 1, 4), date(2026, 10, 8)),
        # A Saturday's requests are played on the next working day.
        (datetime(2026, 11, 27, 1, tzinfo=UTC), date(2018, 1, 6), date(2026, 11, 30)),
    ],
)
def test_the_day_starts_at_midnight_of_a_working_day_like_it(now: datetime, day: date, start: date) -> None:
    begins = next_start(now, day, WorkCalendar())
    assert begins == datetime(start.year, start.month, start.day, tzinfo=CHINA)
    assert begins > now


def test_the_committed_table_fits_the_sample_district() -> None:
    assert set(TRANSLATION.types.values()) <= set(HENGYANG.categories)
    assert {here.community for here in TRANSLATION.neighbourhoods.values()} == set(HENGYANG.communities)
    wanting_photos = {code for code in TRANSLATION.types.values() if HENGYANG.categories[code].photo_required}
    assert not wanting_photos, "the replay has no photos to show"


def test_the_committed_day_is_whole() -> None:
    with (SAMPLES / "replay" / "la311_2018-01-02.csv").open(encoding="utf-8", newline="") as lines:
        plan = plan_of(list(read_requests(lines)))
    assert (plan.day, len(plan.cases), plan.other_days) == (date(2018, 1, 2), 3_864, 0)
    assert {row.reason for row in plan.skipped} == {"closed before it was created"}
    assert len(plan.skipped) == 6
    assert all(HENGYANG.community_at(case.point) for case in plan.cases)
    neighbours = json.loads((SAMPLES / "replay" / "mapping.json").read_text(encoding="utf-8"))["neighbourhoods"]
    assert len(neighbours) == len(TRANSLATION.neighbourhoods) == 97
