"""Entries, corrections and appeals in any order: the ledger comes to what was decided, and to nothing else.

A model keeps what costs the unit something: facts, and approved entries, without what an approved correction or an
upheld appeal has taken back. Points are those of the sample's rules, bonuses under their cap. Whatever is proposed,
approved, refused, withdrawn, appealed and decided by whomever, while the ledger's worker lags behind or is told twice:
once it has caught up the unit's standings are the model's, the chain is sound, and no row is taken back twice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from services.scoring.commands import appeals, proposals
from services.scoring.domain.appeals import AppealState
from services.scoring.domain.grounds import Grounds
from services.scoring.domain.ledger import Entry, entry_id, find_flaw, recompute
from services.scoring.domain.proposals import ByHand, ProposalState
from services.scoring.repo import APPEALS, CONTESTS, PROPOSALS
from shared.consumer import PARKED
from shared.contracts.scoring import FactKind
from shared.errors import Forbidden, Refused
from shared.months import month_of
from shared.own_cause import Person
from shared.store import UnitOfWork
from tests.unit.scoring.decisions import TERMS, UNIT, World

T = TypeVar("T")
OFFICE = [Person("zhang"), Person("li"), Person("chen")]
OF_THE_UNIT = [Person("wang", UNIT), Person("zhao", UNIT)]
STRANGERS = [Person("sun", "yuanlin")]
MOSTLY_OFFICE = st.sampled_from([*OFFICE, *OFFICE, *OFFICE, *OF_THE_UNIT, *STRANGERS])
MOSTLY_OF_THE_UNIT = st.sampled_from([*OFFICE[:1], *OF_THE_UNIT, *OF_THE_UNIT, *STRANGERS])
START = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
DAYS = st.sampled_from([START, START - timedelta(days=30)])
BONUS_CAP = Decimal(5)
Cost = tuple[str, Decimal, bool]
"""Month, points claimed, whether under the bonuses' cap."""


class Decisions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = self.run(World.new())
        self.costs: dict[str, Cost] = {}
        self.taken_back: set[str] = set()
        self.facts = 0
        self.proposed: list[str] = []

    def teardown(self) -> None:
        self.run(self.world.settle(again=True))
        self.the_ledger_is_what_was_decided()
        self.loop.close()

    def run(self, coroutine: Awaitable[T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def tried(self, command: Callable[[UnitOfWork], Awaitable[T]]) -> T | None:
        """None when it is refused: nothing may have changed then."""
        try:
            return self.run(self.world.store.run(command))
        except (Refused, Forbidden):
            return None

    def row(self, data: st.DataObject) -> Entry:
        """One of the first, so that several people want something of the same."""
        return data.draw(st.sampled_from(self.run(self.world.rows())[:3]))

    @initialize()
    def two_rows_are_there(self) -> None:
        for _ in range(2):
            self.something_happens(START, FactKind.REWORK)
        self.the_worker_catches_up(again=False)

    @rule(at=DAYS, kind=st.sampled_from([FactKind.REWORK, FactKind.REOPENED]))
    def something_happens(self, at: datetime, kind: FactKind) -> None:
        self.facts += 1
        id = f"f{self.facts}"
        self.run(self.world.happen(id, kind, at, settle=False))
        self.costs[id] = (month_of(at), Decimal("0.5"), False)

    @rule(
        at=DAYS,
        points=st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(4)]),
        kind=st.sampled_from([FactKind.MANUAL, FactKind.BONUS]),
        by=st.sampled_from(OFFICE),
    )
    def somebody_proposes_an_entry(self, at: datetime, points: Decimal, kind: FactKind, by: Person) -> None:
        entry = ByHand(kind, at, points)
        done = self.tried(lambda uow: proposals.propose_entry(uow, UNIT, entry, Grounds("为什么"), by))
        if done is not None:
            self.proposed.append(done[0].id)

    @rule(data=st.data(), by=st.sampled_from(OFFICE))
    def somebody_proposes_a_correction(self, data: st.DataObject, by: Person) -> None:
        number = self.row(data).number
        done = self.tried(lambda uow: proposals.propose_correction(uow, UNIT, number, Grounds("记错"), by))
        if done is not None:
            self.proposed.append(done.id)

    @precondition(lambda self: self.proposed)
    @rule(data=st.data(), by=MOSTLY_OFFICE, how=st.sampled_from(["approve", "approve", "refuse", "withdraw"]))
    def somebody_settles_a_proposal(self, data: st.DataObject, by: Person, how: str) -> None:
        found = self.run(self.world.store.get(PROPOSALS, data.draw(st.sampled_from(self.proposed[-3:]))))
        assert found is not None
        was_open, id = found.state is ProposalState.PROPOSED, found.id
        if how == "approve":
            done = self.tried(lambda uow: proposals.approve(uow, id, by, ""))
        elif how == "refuse":
            done = self.tried(lambda uow: proposals.refuse(uow, id, by, "不实"))
        else:
            done = self.tried(lambda uow: proposals.withdraw(uow, id, by))
        if done is None:
            return
        assert was_open
        assert (by.subject == found.proposed_by) is (how == "withdraw")
        assert by.unit != UNIT
        if how == "approve" and found.entry is not None:
            earns = found.entry.kind is FactKind.BONUS
            points = -found.entry.points if earns else found.entry.points
            self.costs[found.basis] = (month_of(found.entry.happened_at), points, earns)
        if how == "approve" and found.number is not None:
            appeal = self.run(self.world.store.get(APPEALS, entry_id(UNIT, found.number)))
            assert appeal is None or appeal.state is not AppealState.SUBMITTED
            self.is_taken_back(found.number)

    @rule(data=st.data(), by=MOSTLY_OF_THE_UNIT)
    def somebody_appeals(self, data: st.DataObject, by: Person) -> None:
        row = self.row(data)
        before = self.run(self.world.store.get(APPEALS, row.id))
        done = self.tried(lambda uow: appeals.submit(uow, TERMS, UNIT, row.number, Grounds("道路封闭"), by))
        if done is not None:
            until = TERMS.open_until(row)
            assert before is None
            assert by.unit == UNIT
            assert (row.reverses, row.basis in self.taken_back) == (None, False)
            assert until is not None
            assert self.world.clock.now() <= until

    @precondition(lambda self: self.run(self.world.store.count(APPEALS, {})))
    @rule(data=st.data(), by=MOSTLY_OFFICE, how=st.sampled_from(["uphold", "uphold", "reject", "withdraw"]))
    def somebody_settles_an_appeal(self, data: st.DataObject, by: Person, how: str) -> None:
        found = data.draw(st.sampled_from(self.run(self.world.store.find(APPEALS, {}, [("_id", 1)]))))
        was_open, id = found.state is AppealState.SUBMITTED, found.id
        if how == "uphold":
            done = self.tried(lambda uow: appeals.uphold(uow, id, by, "成立"))
        elif how == "reject":
            done = self.tried(lambda uow: appeals.reject(uow, id, by, "不成立"))
        else:
            done = self.tried(lambda uow: appeals.withdraw(uow, id, by))
        if done is None:
            return
        assert was_open
        assert (by.unit == UNIT) is (how == "withdraw")
        if how != "withdraw":
            assert by.subject not in self.had_a_part(found.number)
        if how == "uphold":
            self.is_taken_back(found.number)

    @rule(again=st.booleans())
    def the_worker_catches_up(self, again: bool) -> None:
        self.run(self.world.settle(again))
        self.the_ledger_is_what_was_decided()

    @rule(days=st.sampled_from([1, 2]))
    def days_pass(self, days: int) -> None:
        # Not beyond what the calendar and the bonuses' month allow for.
        if self.world.clock.now() < datetime(2026, 12, 20, tzinfo=UTC):
            self.world.clock.advance(timedelta(days=days))

    def the_ledger_is_what_was_decided(self) -> None:
        rows = self.run(self.world.rows())
        assert find_flaw(UNIT, rows) is None
        reversed_rows = [row.reverses for row in rows if row.reverses is not None]
        assert len(reversed_rows) == len(set(reversed_rows))
        lost = self.run(self.world.lost())
        assert lost == self.model()
        content = {id.removeprefix(f"{UNIT}:"): points for id, points in recompute(rows).items() if points}
        assert content == lost
        assert self.run(self.world.store.count(PARKED, {})) == 0

    def model(self) -> dict[str, Decimal]:
        """What the unit has lost by month."""
        lost: dict[str, Decimal] = defaultdict(Decimal)
        earned: dict[str, Decimal] = defaultdict(Decimal)
        for basis, (period, points, is_bonus) in self.costs.items():
            if basis not in self.taken_back:
                (earned if is_bonus else lost)[period] += points
        for period, points in earned.items():
            lost[period] += max(-BONUS_CAP, points)
        return {period: points for period, points in lost.items() if points}

    def is_taken_back(self, number: int) -> None:
        [row] = [row for row in self.run(self.world.rows()) if row.number == number]
        assert row.reverses is None
        assert row.basis not in self.taken_back
        self.taken_back.add(row.basis)
        contest = self.run(self.world.store.get(CONTESTS, row.id))
        assert contest is not None
        assert contest.taken_back_by

    def had_a_part(self, number: int) -> set[str | None]:
        [row] = [row for row in self.run(self.world.rows()) if row.number == number]
        found = self.run(self.world.store.find(PROPOSALS, {}))
        return {who for each in found if each.basis == row.basis for who in (each.proposed_by, each.decided_by)}


TestDecisions = Decisions.TestCase
TestDecisions.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
