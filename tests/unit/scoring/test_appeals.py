"""Appeals: in time around holidays, once per row, by the unit, decided by somebody who had no part in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.scoring.commands import appeals as commands
from services.scoring.commands import proposals
from services.scoring.domain.appeals import Appeal, AppealState, AppealTerms, Next, if_upheld, next_of
from services.scoring.domain.grounds import Grounds
from services.scoring.domain.ledger import Entry
from services.scoring.domain.proposals import ByHand
from services.scoring.repo import APPEALS, CONTESTS
from shared.contracts.scoring import FactKind
from shared.errors import Forbidden, NotFound, Refused
from shared.own_cause import Person
from shared.workdays import Limit, WorkCalendar
from tests.unit.scoring.decisions import LI, MONDAY, TERMS, UNIT, WANG, ZHANG, World
from tests.unit.scoring.ledgers import Books, charge

CHEN = Person("chen")
"""Of the discipline commission."""


def at(text: str) -> datetime:
    """A moment of Asia/Shanghai."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


def posted(text: str) -> Entry:
    row = Books().post(charge("1"))
    row.posted_at = at(text)
    return row


async def submitted(world: World, number: int = 1, by: Person = WANG) -> Appeal:
    return await world.store.run(lambda uow: commands.submit(uow, TERMS, UNIT, number, Grounds("道路封闭"), by))


async def upheld(world: World, id: str, by: Person = LI) -> Appeal:
    made = await world.store.run(lambda uow: commands.uphold(uow, id, by, "成立"))
    await world.settle()
    return made


async def rejected(world: World, id: str, by: Person = LI) -> Appeal:
    return await world.store.run(lambda uow: commands.reject(uow, id, by, "不成立"))


@pytest.mark.parametrize(
    ("row", "until"),
    [
        ("2026-11-23T10:00", "2026-11-30T18:00"),
        # The day counts as over once the offices are closed.
        ("2026-11-23T18:30", "2026-12-01T18:00"),
        # Over the National Day; 10 October is a make-up Saturday.
        ("2026-09-29T10:00", "2026-10-12T18:00"),
        # Posted in the holidays.
        ("2026-10-03T10:00", "2026-10-14T18:00"),
        # Over New Year.
        ("2026-12-30T10:00", "2027-01-07T18:00"),
    ],
)
def test_the_time_to_appeal_is_counted_in_working_days(row: str, until: str) -> None:
    assert TERMS.open_until(posted(row)) == at(until)


def test_a_year_that_the_calendar_lacks_costs_no_unit_its_appeal() -> None:
    entry = posted("2027-12-30T10:00")
    assert TERMS.open_until(entry) is None
    assert next_of(entry, None, None, False, TERMS, at("2028-03-01T10:00")) is Next.MAY_APPEAL


async def test_a_unit_may_appeal_to_the_last_moment_and_not_after() -> None:
    world = await World.new()
    await world.happen("f1")
    [row] = await world.rows()
    until = TERMS.open_until(row)
    assert until is not None
    world.clock.set(until + timedelta(milliseconds=1))
    with pytest.raises(Refused, match="appeal-too-late") as refused:
        await submitted(world)
    assert refused.value.params["until"] == "2026-11-30 18:00"
    world.clock.set(until)
    made = await submitted(world)
    assert (made.submitted_at, made.due_at, made.rule) == (until, at("2026-12-15T18:00"), "rework")
    assert not made.is_overdue(at("2026-12-15T18:00"))
    assert made.is_overdue(at("2026-12-15T18:01"))


async def test_an_upheld_appeal_takes_the_row_back_and_restores_the_standing() -> None:
    world = await World.new()
    await world.happen("f1", FactKind.REOPENED)
    before = await world.lost()
    await world.happen("f2")
    made = await submitted(world, 2)
    assert await world.lost() == {"2026-11": Decimal(1)}
    settled = await upheld(world, made.id)
    await world.settle(again=True)
    assert (settled.state, settled.decided_by, settled.decision) == (AppealState.UPHELD, "li", "成立")
    [last] = (await world.rows())[2:]
    assert (last.reverses, last.basis, await world.lost()) == (2, made.basis, before)


async def test_a_rejected_or_withdrawn_appeal_leaves_the_row_and_is_the_last_of_it() -> None:
    world = await World.new()
    for number, settle in enumerate(["reject", "withdraw"], start=1):
        await world.happen(f"f{number}")
        made = await submitted(world, number)
        if settle == "reject":
            await rejected(world, made.id)
        else:
            await world.store.run(lambda uow, id=made.id: commands.withdraw(uow, id, WANG))  # type: ignore[misc]
        with pytest.raises(Refused, match="appealed-before"):
            await submitted(world, number)
        with pytest.raises(Refused, match="appeal-settled"):
            await upheld(world, made.id)
    await world.settle()
    assert await world.lost() == {"2026-11": Decimal(1)}


async def test_only_the_unit_itself_appeals_and_withdraws() -> None:
    world = await World.new()
    await world.happen("f1")
    for stranger in (ZHANG, Person("zhao", "yuanlin")):
        with pytest.raises(Forbidden, match="appeal-of-another-unit"):
            await submitted(world, by=stranger)
    made = await submitted(world)
    with pytest.raises(Forbidden, match="appeal-of-another-unit"):
        await world.store.run(lambda uow: commands.withdraw(uow, made.id, ZHANG))
    await world.store.run(lambda uow: commands.withdraw(uow, made.id, Person("another", UNIT)))


async def test_nobody_decides_for_their_own_unit_or_on_their_own_entry() -> None:
    world = await World.new()
    entry = ByHand(FactKind.MANUAL, MONDAY, Decimal(2))
    proposal, _ = await world.store.run(lambda uow: proposals.propose_entry(uow, UNIT, entry, Grounds("扣"), ZHANG))
    await world.store.run(lambda uow: proposals.approve(uow, proposal.id, LI, ""))
    await world.settle()
    made = await submitted(world)
    for who, code in (
        (ZHANG, "second-person-required"),
        (LI, "second-person-required"),
        (WANG, "second-person-required"),
        (Person("colleague", UNIT), "decision-on-own-unit"),
    ):
        for decide in (upheld, rejected):
            with pytest.raises(Forbidden, match=code):
                await decide(world, made.id, who)
    await upheld(world, made.id, CHEN)
    assert await world.lost() == {}


async def test_what_cannot_be_appealed_against_is_refused_by_name() -> None:
    world = await World.new()
    await world.happen("f1")
    await world.happen("f2", FactKind.BONUS, at_stake=Decimal(1))
    await upheld(world, (await submitted(world)).id)
    await world.happen("f3")
    correction = await world.store.run(lambda uow: proposals.propose_correction(uow, UNIT, 4, Grounds("错"), ZHANG))
    await world.store.run(lambda uow: proposals.approve(uow, correction.id, LI, ""))
    for number, code in (
        (1, "appealed-before"),
        (2, "entry-costs-nothing"),
        (3, "entry-is-correction"),
        (4, "entry-taken-back"),
    ):
        with pytest.raises(Refused, match=code):
            await submitted(world, number)
    with pytest.raises(NotFound, match="entries-not-found"):
        await submitted(world, 9)
    assert await world.store.count(APPEALS, {}) == 1


async def test_what_comes_next_for_a_row() -> None:
    world = await World.new()
    for number in range(1, 5):
        await world.happen(f"f{number}")

    async def nexts() -> list[Next]:
        found = []
        for row in (await world.rows())[:4]:
            contest, appeal = await world.store.get(CONTESTS, row.id), await world.store.get(APPEALS, row.id)
            taken = any(each.reverses == row.number for each in await world.rows())
            found.append(next_of(row, contest, appeal, taken, TERMS, world.clock.now()))
        return found

    assert await nexts() == [Next.MAY_APPEAL] * 4
    for number in (1, 2, 3):
        await submitted(world, number)
    one, two, _ = await world.store.find(APPEALS, {}, [("number", 1)])
    await rejected(world, one.id)
    await world.store.run(lambda uow: commands.uphold(uow, two.id, LI, "成立"))
    assert await nexts() == [Next.STANDS, Next.TO_BE_TAKEN_BACK, Next.TO_BE_DECIDED, Next.MAY_APPEAL]
    await world.settle()
    world.clock.advance(timedelta(days=30))
    assert await nexts() == [Next.STANDS, Next.TAKEN_BACK, Next.TO_BE_DECIDED, Next.STANDS]
    assert all(next.words.zh and next.words.en for next in Next)


@pytest.mark.parametrize("frozen", [None, "2026-11"])
def test_what_would_be_is_what_comes_to_be(frozen: str | None) -> None:
    """Under a cap, and when the month is frozen already."""
    books = Books()
    for points, cap in (("1.5", "2"), ("1", "2"), ("0.3", None), ("4", None)):
        books.post(charge(points, cap=cap))
    if frozen:
        books.freeze(frozen)
    pending, before = [books.rows[0], books.rows[3]], books.lost()
    foreseen = if_upheld(books.ledger, books.standings, pending, MONDAY)
    assert books.lost() == before
    for row in pending:
        books.reverse(row)
    assert {period: each.points_lost for period, each in foreseen.items() if each.points_lost} == books.lost()
    assert sum(books.lost().values()) == Decimal("1.3")


def test_terms_may_be_in_hours() -> None:
    terms = AppealTerms(Limit.parse("4 work-hours"), Limit.parse("1 working day"), WorkCalendar())
    assert terms.open_until(posted("2026-11-23T10:00")) == at("2026-11-23T16:00")
    assert terms.due_at(MONDAY) == at("2026-11-24T18:00")
