"""What events of others tell of a unit's work, kind by kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from services.scoring.app import SERVICE
from services.scoring.domain.facts import Fact, facts_of
from shared.contracts.event_model import EventModel
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseOverdue,
    CaseReopened,
    CaseReturned,
    CaseReworkOrdered,
    CaseSnapshot,
    CaseState,
    Channel,
    Level,
    Place,
    Stage,
)
from shared.contracts.scoring import FactKind
from shared.event import Event

NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
EARLIER = NOON - timedelta(minutes=7)
CASE = "20261103-ABCDEFGHJK"
PLACE = Place(longitude=112.6, latitude=26.89, community="430476001007")


def snapshot(**fields: Any) -> CaseSnapshot:
    content: dict[str, Any] = {
        "case": CASE,
        "state": CaseState.DISPATCHED,
        "channel": Channel.CITIZEN,
        "category": "exposed-rubbish",
        "category_version": 1,
        "place": PLACE,
        "unit": "huanwei",
        "points": Decimal("0.5"),
        "registered_at": NOON - timedelta(hours=5),
        "indicators": ("I-7", "I-8"),
        **fields,
    }
    return CaseSnapshot(**content)


def fact_of(content: EventModel, subject: str = CASE) -> Fact:
    [fact] = facts(content, subject)
    return fact


def facts(content: EventModel, subject: str = CASE) -> list[Fact]:
    event = Event.new(content, subject, 4, NOON)
    return [*facts_of(event.data, event.id, event.time)]


@pytest.mark.parametrize(
    ("stage", "level"), [*product([Stage.ACKNOWLEDGE, Stage.RECTIFY], [Level.BLUE, Level.ORANGE, Level.RED])]
)
def test_what_a_unit_is_late_with_is_told_by_stage_and_level(stage: Stage, level: Level) -> None:
    fact = fact_of(CaseOverdue(case=snapshot(), stage=stage, level=level, reached_at=EARLIER))
    assert fact == Fact(
        id=f"reports.case/{CASE}/4",
        kind=FactKind.OVERDUE,
        unit="huanwei",
        matter=CASE,
        happened_at=EARLIER,
        told_at=NOON,
        case=CASE,
        category="exposed-rubbish",
        at_stake=Decimal("0.5"),
        stage=stage.value,
        level=level.value,
        indicator="I-7",
    )
    assert fact.about == f"{CASE}:huanwei"


@pytest.mark.parametrize("stage", sorted({*Stage} - {Stage.ACKNOWLEDGE, Stage.RECTIFY}))
def test_what_the_centre_a_leader_or_the_reporter_is_late_with_is_not_laid_to_the_unit(stage: Stage) -> None:
    assert facts(CaseOverdue(case=snapshot(), stage=stage)) == []


def test_a_limit_ran_out_when_it_was_reached_or_else_when_the_case_says_or_else_when_it_was_told() -> None:
    moments = [
        fact_of(CaseOverdue(case=snapshot(overdue_at=overdue_at), reached_at=reached_at)).happened_at
        for reached_at, overdue_at in ((EARLIER, NOON), (None, EARLIER), (None, None))
    ]
    assert moments == [EARLIER, EARLIER, NOON]


@pytest.mark.parametrize(
    ("model", "counted", "kind"),
    [
        (CaseReworkOrdered, "reworks", FactKind.REWORK),
        (CaseReopened, "reopens", FactKind.REOPENED),
    ],
)
def test_work_not_done_is_laid_to_the_unit_and_counted(
    model: type[CaseReworkOrdered | CaseReopened], counted: str, kind: FactKind
) -> None:
    fact = fact_of(model(case=snapshot(**{counted: 3})))
    assert (fact.kind, fact.unit, fact.times, fact.happened_at) == (kind, "huanwei", 3, NOON)
    assert (fact.stage, fact.level) == (None, None)
    assert fact_of(model(case=snapshot())).times == 1


@pytest.mark.parametrize("holder", [None, "chengguan"])
def test_a_case_given_back_is_laid_to_the_unit_that_gave_it_back(holder: str | None) -> None:
    fact = fact_of(CaseReturned(case=snapshot(unit=holder, returns=2), returned_by="huanwei"))
    assert (fact.kind, fact.unit, fact.times) == (FactKind.RETURNED, "huanwei", 2)


def test_a_finding_is_about_the_visit_and_may_have_nobody_yet() -> None:
    found = FindingRecorded(
        visit="V-9",
        finding=2,
        site="S-1",
        place=PLACE,
        category="litter-bin",
        severity=Severity.SEVERE,
        found_at=EARLIER,
        standard="I-1-2",
        indicators=("I-1", "I-2"),
    )
    fact = fact_of(found, "V-9")
    assert (fact.kind, fact.unit, fact.matter, fact.case) == (FactKind.FINDING, "", "V-9", "")
    assert (fact.visit, fact.finding, fact.severity) == ("V-9", 2, "severe")
    assert (fact.indicator, fact.standard, fact.happened_at, fact.told_at) == ("I-1", "I-1-2", EARLIER, NOON)
    assert fact_of(found.model_copy(update={"unit": "huanwei"}), "V-9").unit == "huanwei"


@pytest.mark.parametrize(
    "expected",
    [CaseOverdue(case=snapshot(unit=None)), CaseReopened(case=snapshot(unit=None)), CaseAcknowledged(case=snapshot())],
)
def test_nothing_is_told_of_nobody_or_of_what_is_in_order(expected: EventModel) -> None:
    assert facts(expected) == []


def test_the_service_listens_to_every_event_that_tells_a_fact() -> None:
    """And to none of these twice: a handler per type is what the subscription has."""
    [charges] = [each for each in SERVICE.subscriptions if each.group == "scoring.charges"]
    assert {CaseOverdue, CaseReworkOrdered, CaseReopened, CaseReturned, FindingRecorded} <= {
        reaction.model for reaction in charges.reactions
    }
