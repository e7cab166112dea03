"""What must hold after a run, whatever was killed; pure, so that it is tested by evidence made up for it.

Acknowledged is there, refused is not, unknown is wholly there or not at all; nothing twice; per aggregate the
events 1..n in order, copies allowed; every overdue case cost its unit its points exactly once; ledgers chain up to
their heads; standings are what the ledgers, and what the events alone, add up to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, cast

from services.reports.domain import Case, Command
from services.scoring.domain.ledger import Entry, find_flaw, recompute
from shared.clock import CHINA
from shared.contracts import EventModel
from shared.contracts.reports import (
    CaseEvent,
    CaseOverdue,
    CaseRegistered,
    CaseReplied,
    CaseSnapshot,
    Level,
    Stage,
)
from shared.contracts.scoring import ChargeMade, EntryPosted, StandingChanged
from shared.event import Event
from tests.chaos.clients import Outcome
from tests.chaos.evidence import Evidence, Sent
from tests.chaos.fleet import THE_RUNG

POINTS_FACTOR = Decimal(1)
"""What the one rule of the run's district makes of a case's points (see `fleet.district`)."""


class Kind(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    PHANTOM = "phantom"
    DOUBLED = "doubled"
    ORDER = "order"
    STANDINGS = "standings"
    LEDGER = "ledger"
    PARKED = "parked"
    PENDING = "pending"
    VIEW = "view"


@dataclass(frozen=True)
class Finding:
    """One violation, told so that it can be looked for."""

    kind: Kind
    text: str


def judge(evidence: Evidence) -> list[Finding]:
    """Every violation; none is what is promised."""
    return list(_Judge(evidence).findings())


class _Judge:
    def __init__(self, evidence: Evidence) -> None:
        self._e = evidence
        self._cases: dict[int, list[Case]] = defaultdict(list)
        for case in evidence.cases:
            self._cases[number_of(case)].append(case)

    def findings(self) -> Iterator[Finding]:
        yield from (Finding(Kind.PENDING, text) for text in self._e.pending)
        yield from self._submissions()
        yield from self._commands()
        yield from self._idempotency()
        for topic, records in self._e.records.items():
            if not topic.endswith(".dlq"):
                yield from self._stream(topic, records)
        yield from self._deadlines()
        yield from self._effects()
        yield from self._ledgers()
        yield from self._measures()
        yield from self._standings()
        yield from self._consumed()
        if self._e.views is not None:
            yield from self._shown(self._e.views)

    def _submissions(self) -> Iterator[Finding]:
        for number, cases in self._cases.items():
            deed = self._e.deeds.get((number, "submit"))
            if deed is None or deed.outcome is Outcome.REFUSED:
                yield Finding(Kind.PHANTOM, f"case #{number}, which was never asked for or was refused")
            if len(cases) > 1:
                yield Finding(Kind.DOUBLED, f"case #{number}: {', '.join(case.id for case in cases)}")
        for (number, command), deed in self._e.deeds.items():
            there = {case.id for case in self._cases[number]}
            if command == "submit" and deed.outcome is Outcome.ACKED and deed.case not in there:
                yield Finding(Kind.LOST, f"case #{number}, acknowledged as {deed.case}, stored: {there or 'not'}")

    def _commands(self) -> Iterator[Finding]:
        for case in self._e.cases:
            times = Counter(fact.command for fact in case.timeline)
            for command in (Command.ACKNOWLEDGE, Command.REPLY):
                deed = self._e.deeds.get((number_of(case), command.value))
                what = f"{command.value} of {case.id} #{number_of(case)}"
                if times[command] > 1:
                    yield Finding(Kind.DOUBLED, what)
                if times[command] and (deed is None or deed.outcome is Outcome.REFUSED):
                    yield Finding(Kind.PHANTOM, what)
                if not times[command] and deed is not None and deed.outcome is Outcome.ACKED:
                    yield Finding(Kind.LOST, what)

    def _idempotency(self) -> Iterator[Finding]:
        """Every command that took effect is remembered, and no other is: they share a transaction."""
        by_clients = {Command.REGISTER, Command.ACKNOWLEDGE, Command.REPLY}
        effects = sum(fact.command in by_clients for case in self._e.cases for fact in case.timeline)
        if effects != self._e.remembered:
            kind = Kind.LOST if self._e.remembered < effects else Kind.PHANTOM
            yield Finding(kind, f"{self._e.remembered} remembered answers of {effects} commands")

    def _stream(self, topic: str, records: Sequence[Sent]) -> Iterator[Finding]:
        by_subject: dict[str, list[Sent]] = defaultdict(list)
        for record in sorted(records, key=lambda record: (record.partition, record.offset)):
            by_subject[record.event.subject].append(record)
        stored = {subject: last for (its_topic, subject), last in self._e.sequences.items() if its_topic == topic}
        for subject in {*by_subject, *stored}:
            yield from _aggregate(f"{topic}/{subject}", by_subject[subject], stored.get(subject, 0))

    def _deadlines(self) -> Iterator[Finding]:
        """By now every limit has run out: overdue is, once a level, whatever was not answered in time."""
        overdue = Counter(event.subject for event in self._charged)
        counted = Counter(
            (event.subject, overdue.stage, overdue.level, overdue.reached_at)
            for event in self._events(CaseOverdue)
            for overdue in [cast(CaseOverdue, event.data)]
        )
        yield from (
            Finding(Kind.DOUBLED, f"{key} was told {times} times") for key, times in counted.items() if times > 1
        )
        due = {event.subject: _case(event).due_at for event in self._events(CaseRegistered)}
        replied = {event.subject: _case(event).replied_at for event in self._events(CaseReplied)}
        for case in self._e.cases:
            limit, answered = due.get(case.id), replied.get(case.id)
            expected = int(limit is not None and not (answered is not None and answered < limit))
            if overdue[case.id] != expected:
                kind = Kind.LOST if overdue[case.id] < expected else Kind.DOUBLED if expected else Kind.PHANTOM
                yield Finding(kind, f"{case.id} was overdue {overdue[case.id]} times, not {expected}")

    def _effects(self) -> Iterator[Finding]:
        """One charge and one entry per overdue event, with its points."""
        due = {event.id: _case(event) for event in self._charged}
        charged = [cast(ChargeMade, event.data) for event in self._events(ChargeMade)]
        posted = [cast(EntryPosted, event.data) for event in self._events(EntryPosted)]
        for what, effects in (("charge", charged), ("entry event", posted), ("entry", self._e.entries)):
            times = Counter(effect.basis for effect in effects)
            for basis in {*due, *times}:
                if times[basis] != (basis in due):
                    kind = Kind.LOST if not times[basis] else Kind.DOUBLED if basis in due else Kind.PHANTOM
                    yield Finding(kind, f"{times[basis]} × {what} for {basis}")
            for effect in effects:
                case = due.get(effect.basis)
                if case and (effect.unit, effect.points) != (case.unit, case.points * POINTS_FACTOR):
                    yield Finding(Kind.LEDGER, f"{what} for {effect.basis}: {effect.points} of {effect.unit}")

    def _ledgers(self) -> Iterator[Finding]:
        heads = {ledger.id: ledger for ledger in self._e.ledgers}
        rows: dict[str, list[Entry]] = defaultdict(list)
        for entry in sorted(self._e.entries, key=lambda entry: entry.number):
            rows[entry.unit].append(entry)
        for unit in {*heads, *rows}:
            ledger = heads.get(unit)
            if ledger is None or ledger.rows != len(rows[unit]):
                yield Finding(Kind.LEDGER, f"{unit}: {len(rows[unit])} rows, not {ledger and ledger.rows}")
            elif flaw := find_flaw(unit, rows[unit], ledger.head):
                yield Finding(Kind.LEDGER, f"{flaw}")
        content = {(entry.unit, entry.number): entry.hash for entry in self._posted}
        if content != {(entry.unit, entry.number): entry.hash for entry in self._e.entries}:
            yield Finding(Kind.LEDGER, "what the topic tells of the ledgers is not what is stored")

    def _measures(self) -> Iterator[Finding]:
        """One letter of the lowest rung for each case whose unit's limit ran out, and papers numbered without a gap."""
        called = {event.subject for event in self._charged}
        reminded = Counter(letter.case for letter in self._e.letters if letter.rung == THE_RUNG)
        for case in {*called, *reminded}:
            if reminded[case] != (case in called):
                kind = Kind.LOST if not reminded[case] else Kind.DOUBLED if case in called else Kind.PHANTOM
                yield Finding(kind, f"{reminded[case]} × {THE_RUNG} for {case}")
        numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
        for letter in self._e.letters:
            numbers[letter.rung, letter.year].append(letter.number)
        for series, found in numbers.items():
            if sorted(found) != list(range(1, len(found) + 1)):
                yield Finding(Kind.LEDGER, f"papers of {series} are numbered {sorted(found)}")

    def _standings(self) -> Iterator[Finding]:
        stored = {standing.id: standing.points_lost for standing in self._e.standings}
        sources = {
            "the ledgers": recompute(self._e.entries),
            "the topic's entries": recompute(self._posted),
            "the overdue cases": self._points_by_events(),
            "the topic's standings": {
                event.subject: cast(StandingChanged, event.data).points_lost for event in self._events(StandingChanged)
            },
        }
        for source, points in sources.items():
            if points != stored:
                differing = {id for id in {*points, *stored} if points.get(id) != stored.get(id)}
                yield Finding(Kind.STANDINGS, f"not what {source} add up to: {', '.join(sorted(differing))}")

    def _points_by_events(self) -> dict[str, Decimal]:
        lost: dict[str, Decimal] = defaultdict(Decimal)
        for event in self._charged:
            case = _case(event)
            if case.overdue_at is not None:
                lost[f"{case.unit}:{case.overdue_at.astimezone(CHINA):%Y-%m}"] += case.points * POINTS_FACTOR
        return dict(lost)

    def _consumed(self) -> Iterator[Finding]:
        yield from (Finding(Kind.PARKED, f"{row.id}: {row.error} {row.text}") for row in self._e.parked)
        for topic, records in self._e.records.items():
            if topic.endswith(".dlq") and records and not self._e.replayed:
                yield Finding(Kind.PARKED, f"{len(records)} records in {topic}")
        for each in self._e.subscriptions:
            for (topic, subject), last in self._e.sequences.items():
                mark = self._e.marks.get(f"{each.group}|{topic}|{subject}")
                if topic in each.topics and (mark is None or mark.sequence != last):
                    yield Finding(Kind.LOST, f"{each.group} is at {mark} of {topic}/{subject}, not at {last}")

    def _shown(self, views: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """The portal shows every case as reports has it, with one line per event, and every standing."""
        for case in self._e.cases:
            last = self._e.sequences["reports.case", case.id]
            stored = (last, last, case.state, case.unit, case.due_at, case.overdue_at)
            view = views[case.id]
            if not view or stored != _as_stored(view):
                yield Finding(Kind.VIEW, f"{case.id} is shown as {_as_stored(view) if view else None}, not {stored}")
        for standing in self._e.standings:
            shown = self._e.rankings.get(standing.id)
            if shown != standing.points_lost:
                yield Finding(Kind.VIEW, f"{standing.id} is shown with {shown}, not {standing.points_lost}")

    @cached_property
    def _charged(self) -> list[Event]:
        """The overdue events that cost points: the unit's limit has just run out."""
        return [
            event
            for event in self._events(CaseOverdue)
            for overdue in [cast(CaseOverdue, event.data)]
            if (overdue.stage, overdue.level) == (Stage.RECTIFY, Level.BLUE)
        ]

    @cached_property
    def _posted(self) -> list[EntryPosted]:
        return [cast(EntryPosted, event.data) for event in self._events(EntryPosted)]

    def _events(self, model: type[EventModel]) -> list[Event]:
        """The events of one type, each once, in order."""
        records = self._e.records.get(model.TOPIC, ())
        first = {record.event.id: record.event for record in reversed(records)}
        found = [event for event in first.values() if event.type == model.TYPE]
        return sorted(found, key=lambda event: (event.subject, event.sequence))


def number_of(case: Case) -> int:
    """The client's number of a case, from its text."""
    return int(case.text.rpartition("#")[2])


def _aggregate(name: str, records: Sequence[Sent], stored: int) -> Iterator[Finding]:
    """1..n without a gap, never n+1 before the first n, each number always saying the same."""
    said: dict[int, bytes] = {}
    for record in records:
        sequence, value = record.event.sequence, record.event.value
        if sequence not in said and sequence != len(said) + 1:
            yield Finding(Kind.ORDER, f"{name}: {sequence} before {len(said) + 1}, offset {record.offset}")
        if said.setdefault(sequence, value) != value:
            yield Finding(Kind.ORDER, f"{name}: {sequence} says two things")
    if len({record.partition for record in records}) > 1:
        yield Finding(Kind.ORDER, f"{name} lies in several partitions")
    if missing := sorted({*range(1, stored + 1)} - {*said}):
        yield Finding(Kind.LOST, f"{name}: events {missing} of {stored}")
    if extra := sorted(sequence for sequence in said if sequence > stored):
        yield Finding(Kind.PHANTOM, f"{name}: events {extra}, though only {stored} were stored")


def _as_stored(view: Mapping[str, Any]) -> tuple[object, ...]:
    times = (view[name] and datetime.fromisoformat(view[name]) for name in ("due_at", "overdue_at"))
    return (view["sequence"], len(view["timeline"]), view["state"], view["unit"], *times)


def _case(event: Event) -> CaseSnapshot:
    return cast(CaseEvent, event.data).case
