"""The judge itself: quiet about a sound platform, and naming each thing that can be wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from services.reports.domain import SYSTEM, Act, Case, Category, Name, Place, Routing, Why
from services.scoring.domain.ledger import Ledger, Standing, standing_id
from shared.clock import CHINA
from shared.consumer import Mark, Subscription
from shared.contracts import EventModel
from shared.contracts.reports import CaseOverdue, Channel
from shared.contracts.scoring import ChargeMade, EntryPosted
from shared.event import Event
from tests.chaos.checker import Kind, judge
from tests.chaos.clients import Outcome, Sending
from tests.chaos.evidence import Evidence, Letter, Sent
from tests.chaos.fleet import THE_RUNG
from tests.unit.reports.cases import TIMETABLE

MORNING = datetime(2026, 3, 30, 9, tzinfo=CHINA)
CATEGORY = Category("gas-facility", 1, Name("燃气", "Gas"), "g", "2 work-hours", "示例", Decimal(2), "ranqi")


def sound() -> Evidence:
    """One case that nobody answered, from its report to the last warning and the standing of its unit."""
    after = MORNING + timedelta(days=9)
    case, registered = Case.register(
        id="20260330-A",
        category=CATEGORY,
        channel=Channel.CITIZEN,
        place=Place(112.6, 26.9, "430476001007"),
        routing=Routing("ranqi", Why.CATEGORY),
        act=Act(SYSTEM, MORNING, TIMETABLE),
        text="案件 #0",
    )
    found = [*_sent(case.id, registered), *_sent(case.id, case.mark_overdue(Act(SYSTEM, after, TIMETABLE)), first=2)]
    charge = _charge(found[1].event)
    ledger, standing = Ledger("ranqi"), Standing(standing_id("ranqi", "2026-03"), "ranqi", "2026-03")
    entry = ledger.post(charge, standing, after)
    standing.count(entry)
    posted = EntryPosted.model_validate(entry, from_attributes=True)
    return Evidence(
        deeds={(0, "submit"): Sending(0, "submit", Outcome.ACKED, case.id)},
        cases=[case],
        remembered=1,
        records={
            "reports.case": found,
            "scoring.charge": _sent(f"{case.id}:ranqi", [charge]),
            "scoring.entry": _sent("ranqi", [posted]),
            "scoring.standing": _sent(standing.id, [standing.event()]),
            "scoring.charges.dlq": [],
        },
        sequences={
            ("reports.case", case.id): 4,
            ("scoring.charge", f"{case.id}:ranqi"): 1,
            ("scoring.entry", "ranqi"): 1,
            ("scoring.standing", standing.id): 1,
        },
        entries=[entry],
        letters=[Letter(THE_RUNG, case.id, 2026, 1)],
        ledgers=[ledger],
        standings=[standing],
        marks={f"scoring.charges|reports.case|{case.id}": Mark("", 4)},
        subscriptions=[Subscription("scoring.charges", ("reports.case",), [])],
    )


def _sent(subject: str, models: tuple[EventModel, ...] | list[EventModel], first: int = 1) -> list[Sent]:
    events = [Event.new(model, subject, first + number, MORNING) for number, model in enumerate(models)]
    return [Sent(0, event.sequence, event) for event in events]


def _charge(event: Event) -> ChargeMade:
    assert isinstance(event.data, CaseOverdue)
    case = event.data.case
    assert case.unit is not None
    assert case.overdue_at is not None
    return ChargeMade(
        unit=case.unit,
        case=case.case,
        category=case.category,
        rule="case-overdue",
        rule_version=1,
        points=case.points,
        basis=event.id,
        happened_at=case.overdue_at,
    )


def test_a_sound_platform_is_not_accused() -> None:
    assert judge(sound()) == []


def test_an_event_sent_again_after_its_successor_is_no_harm() -> None:
    evidence = sound()
    found = evidence.records["reports.case"]
    evidence.records = {**evidence.records, "reports.case": [*found, replace(found[0], offset=9)]}

    assert judge(evidence) == []


def _lose_the_case(evidence: Evidence) -> None:
    evidence.cases = []


def _forget_who_asked(evidence: Evidence) -> None:
    evidence.deeds = {}


def _file_it_twice(evidence: Evidence) -> None:
    evidence.cases = [*evidence.cases, replace(evidence.cases[0], id="20260330-B")]


def _half_do_the_command(evidence: Evidence) -> None:
    evidence.remembered = 0


def _lose_an_event(evidence: Evidence) -> None:
    evidence.records = {**evidence.records, "reports.case": evidence.records["reports.case"][:1]}


def _swap_events(evidence: Evidence) -> None:
    first, second, *others = evidence.records["reports.case"]
    swapped = [replace(second, offset=1), replace(first, offset=2), *others]
    evidence.records = {**evidence.records, "reports.case": swapped}


def _tell_a_level_twice(evidence: Evidence) -> None:
    found = evidence.records["reports.case"]
    again = Sent(0, 5, replace(found[2].event, sequence=5))
    evidence.records = {**evidence.records, "reports.case": [*found, again]}
    evidence.sequences = {**evidence.sequences, ("reports.case", found[0].event.subject): 5}


def _charge_for_a_warning(evidence: Evidence) -> None:
    (charge,) = evidence.records["scoring.charge"]
    orange = evidence.records["reports.case"][2].event
    warned = Event.new(_charge(orange), charge.event.subject, 2, MORNING)
    evidence.records = {**evidence.records, "scoring.charge": [charge, Sent(0, 2, warned)]}


def _charge_twice(evidence: Evidence) -> None:
    (charge,) = evidence.records["scoring.charge"]
    again = Sent(0, 2, replace(charge.event, sequence=2))
    evidence.records = {**evidence.records, "scoring.charge": [charge, again]}


def _never_post(evidence: Evidence) -> None:
    evidence.entries = []


def _edit_the_ledger(evidence: Evidence) -> None:
    evidence.entries = [replace(evidence.entries[0], category="noise")]


def _edit_the_standing(evidence: Evidence) -> None:
    evidence.standings = [replace(evidence.standings[0], points_lost=Decimal(1))]


def _skip_an_event(evidence: Evidence) -> None:
    evidence.marks = {}


def _never_rest(evidence: Evidence) -> None:
    evidence.pending = ["reports: 1 outbox rows"]


def _remind_nobody(evidence: Evidence) -> None:
    evidence.letters = []


def _remind_twice(evidence: Evidence) -> None:
    evidence.letters = [*evidence.letters, replace(evidence.letters[0], number=2)]


def _skip_a_number(evidence: Evidence) -> None:
    evidence.letters = [replace(evidence.letters[0], number=2)]


def _show_nothing(evidence: Evidence) -> None:
    evidence.views = {"20260330-A": {}}


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_lose_the_case, Kind.LOST),
        (_forget_who_asked, Kind.PHANTOM),
        (_file_it_twice, Kind.DOUBLED),
        (_half_do_the_command, Kind.LOST),
        (_lose_an_event, Kind.LOST),
        (_swap_events, Kind.ORDER),
        (_tell_a_level_twice, Kind.DOUBLED),
        (_charge_for_a_warning, Kind.PHANTOM),
        (_charge_twice, Kind.DOUBLED),
        (_never_post, Kind.LOST),
        (_edit_the_ledger, Kind.LEDGER),
        (_edit_the_standing, Kind.STANDINGS),
        (_skip_an_event, Kind.LOST),
        (_remind_nobody, Kind.LOST),
        (_remind_twice, Kind.DOUBLED),
        (_skip_a_number, Kind.LEDGER),
        (_never_rest, Kind.PENDING),
        (_show_nothing, Kind.VIEW),
    ],
)
def test_each_harm_is_named(harm: Callable[[Evidence], None], kind: Kind) -> None:
    evidence = sound()

    harm(evidence)

    assert kind in {finding.kind for finding in judge(evidence)}
