"""The responsibility matrix as the office and the units go on writing it, and what it makes of facts.

Each row has an audit chain of its own, which tells who changed what, and names no other persons.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, replace

from services.scoring.commands.rules import charge
from services.scoring.domain.acts import Act, decide
from services.scoring.domain.facts import Fact
from services.scoring.domain.responsibility import (
    REASON_LIMIT,
    Duty,
    FileRow,
    Plan,
    Row,
    Scope,
    State,
    TaskForce,
    Term,
    checked,
    checked_code,
    checked_force,
    laid,
    row_id,
    rows_for,
)
from services.scoring.domain.writing import day_of
from services.scoring.repo import CHARGES, FACTS, MATRIX
from shared.attachments import claim
from shared.audit.log import write_down
from shared.auth import Principal
from shared.errors import Forbidden, Invalid, NotFound, Refused
from shared.own_cause import Decider
from shared.roles import Role
from shared.store import UnitOfWork
from shared.writing import plain_text

FILE = "matrix.json"
"""Who made the terms that came with the district's file."""


async def assigned(uow: UnitOfWork, fact: Fact) -> Fact:
    """The fact, laid to the unit that answered for it when it happened; perhaps to none."""
    return laid(fact, await uow.load(MATRIX, rows_for(fact)))


async def load_assigned(uow: UnitOfWork, facts: Sequence[Fact]) -> list[Fact]:
    """The same for many, with the ledgers' counters that recording them will ask for."""
    rows = await uow.load(MATRIX, [row for fact in facts for row in rows_for(fact)])
    assigned_facts = [laid(fact, rows) for fact in facts]
    await uow.load(CHARGES, {fact.about for fact in assigned_facts})
    return assigned_facts


async def lay(uow: UnitOfWork, units: Collection[str], id: str, unit: str, reason: str, by: Decider) -> Fact:
    """Lay a fact for which nobody answered to a unit, and charge it by the rules in force when it happened. Once.

    Raises Forbidden (decision-on-own-unit), Invalid (unit-unknown, fact-unknown, the reason), Refused (fact-laid).
    """
    decide(Act.LAY_FACT, by, units=[unit])
    if unit not in units:
        raise Invalid("unit-unknown", field="unit", given=unit)
    if (found := await uow.find(FACTS, id)) is None:
        raise Invalid("fact-unknown", field="fact")
    if found.unit:
        raise Refused("fact-laid", unit=found.unit)
    fact = replace(found, unit=unit)
    uow.save(FACTS, fact)
    why = plain_text(reason, "reason", REASON_LIMIT, required=True)
    await write_down(uow, f"fact:{id}", 1, by=by.subject, action="lay", subject=id, reason=why, detail={"unit": unit})
    await charge(uow, fact)
    return fact


async def adopt(uow: UnitOfWork, sample: Sequence[FileRow]) -> None:
    """Put to use what rows of the district's file are not there yet; what is there is the office's."""
    there = await uow.load(MATRIX, [row_id(filed.scope, filed.code) for filed in sample])
    for filed in sample:
        id = row_id(filed.scope, filed.code)
        if id not in there:
            term = Term(1, filed.effective_from, filed.duty, uow.now, FILE)
            row = Row(id, filed.scope, filed.code, [term], state=filed.state)
            uow.insert(MATRIX, row)
            await _write_down(uow, row, FILE, "adopt", detail={"lead": filed.duty.lead or ""})


async def change(
    uow: UnitOfWork,
    units: Collection[str],
    scope: Scope,
    code: str,
    duty: Duty,
    effective_from: str,
    based_on: int,
    reason: str,
    by: Decider,
) -> Row:
    """Who answers from a day on. The row begins with its first term; `based_on` is the newest that was read, or 0.

    Raises Forbidden (decision-on-own-unit), Invalid and Refused: see `checked` and `Row.change`.
    """
    duty, why = checked(duty, units), plain_text(reason, "reason", REASON_LIMIT)
    row = await uow.find(MATRIX, row_id(scope, code))
    if row is None:
        row = Row(row_id(scope, checked_code(code)), scope, code)
        uow.insert(MATRIX, row)
    before = row.duty_on(effective_from) or Duty(None)
    concerned = [before.lead, *before.supporting, duty.lead, *duty.supporting]
    decide(Act.CHANGE_RESPONSIBILITY, by, units=concerned)
    if row.change(duty, effective_from, based_on, uow.now, by.subject, why) is not None:
        differing = ", ".join(
            each.name for each in fields(Duty) if getattr(before, each.name) != getattr(duty, each.name)
        )
        detail = {"effective_from": effective_from, "fields": differing, "lead": duty.lead or ""}
        await _write_down(uow, row, by.subject, "change", why, detail)
    return row


async def name_task_force(
    uow: UnitOfWork, scope: Scope, code: str, force: TaskForce, based_on: int, caller: Principal
) -> Row:
    """Who is in the task force from today on. Raises NotFound, Forbidden, Refused, Invalid (see `checked_force`)."""
    row, duty = await _own(uow, scope, code, caller)
    wanted = replace(duty, task_force=checked_force(force))
    if row.change(wanted, day_of(uow.now), based_on, uow.now, caller.subject) is not None:
        await _write_down(uow, row, caller.subject, "task-force", detail={"members": str(len(force.members))})
    return row


async def hand_in_plan(uow: UnitOfWork, scope: Scope, code: str, attachment: str, caller: Principal) -> Row:
    """Make the attachment the unit's plan; earlier ones stay. Raises NotFound, Forbidden, Refused, Invalid."""
    row, duty = await _own(uow, scope, code, caller)
    [file] = await claim(uow, [attachment], row.id, caller.subject, "attachment")
    plan = Plan(
        number=len(row.plans) + 1,
        unit=duty.lead or "",
        attachment=file.id,
        kind=file.kind,
        byte_count=file.byte_count,
        sha256=file.sha256,
        at=uow.now,
        by=caller.subject,
    )
    row.hand_in(plan)
    await _write_down(uow, row, caller.subject, "plan", detail={"number": str(plan.number), "sha256": plan.sha256})
    return row


async def set_state(uow: UnitOfWork, scope: Scope, code: str, state: State, caller: Principal) -> Row:
    """How far the unit is, by its own word. Raises NotFound, Forbidden (row-of-another-unit)."""
    row, _ = await _own(uow, scope, code, caller)
    if row.state is not state:
        detail = {"before": row.state.value, "after": state.value}
        row.state = state
        await _write_down(uow, row, caller.subject, "state", detail=detail)
    return row


async def _own(uow: UnitOfWork, scope: Scope, code: str, caller: Principal) -> tuple[Row, Duty]:
    """The row and its duty of today: any for the office, for a unit's liaison those that the unit leads."""
    row = await uow.find(MATRIX, row_id(scope, code))
    duty = row.duty_on(day_of(uow.now)) if row else None
    if row is None or duty is None:
        raise NotFound("matrix-not-found", id=code)
    if not caller.has(Role.OFFICE) and caller.unit != duty.lead:
        raise Forbidden("row-of-another-unit")
    return row, duty


async def _write_down(
    uow: UnitOfWork, row: Row, by: str, action: str, reason: str = "", detail: dict[str, str] | None = None
) -> None:
    row.changes += 1
    uow.save(MATRIX, row)
    await write_down(
        uow, chain_of(row.id), row.changes, by=by, action=action, subject=row.id, reason=reason, detail=detail
    )


def chain_of(row: str) -> str:
    """The audit chain of a row."""
    return f"matrix:{row}"
