"""Who reported a case, as much of it as somebody's roles let them see."""

from __future__ import annotations

from pydantic import BaseModel

from services.reports.domain import Case
from services.reports.domain.reporter import Sight, sight_of
from services.reports.repo.reporters import Reporters
from shared.auth import Principal


class ReporterView(BaseModel):
    """As much of a reporter as somebody's roles let them see, masked."""

    name: str | None
    phone: str | None
    may_call: bool


def seen(reporters: Reporters, case: Case, caller: Principal) -> ReporterView | None:
    """What the caller's roles let them see of who reported the case; None where it is nothing."""
    reporter, sight = case.reporter, sight_on(case, caller)
    if reporter is None or not (sight.name or sight.phone):
        return None
    person = reporters.person_if_readable(reporter)
    return ReporterView(
        name=person.masked_name if sight.name else None,
        phone=person.masked_phone if sight.phone else None,
        may_call=reporter.may_call,
    )


def sight_on(case: Case, caller: Principal) -> Sight:
    """What the caller's roles let them see of who reported the case."""
    in_charge = caller.unit is not None and caller.unit == case.unit
    may_call = case.reporter is not None and case.reporter.may_call
    return sight_of(caller.roles, in_charge=in_charge, may_call=may_call)
