"""Names and numbers in plain: only with a reason, and never without a row in the audit log."""

from __future__ import annotations

from services.reports.commands.audit import Action, record
from services.reports.domain import Person, Reporter, plain_text
from services.reports.repo import CASES
from services.reports.repo.reporters import Reporters
from services.reports.views.reporter import sight_on
from shared.audit import AuditRow
from shared.auth import Principal
from shared.errors import Forbidden, NotFound
from shared.store import UnitOfWork

REASON_LIMIT = 200


async def open_reporter(
    uow: UnitOfWork, reporters: Reporters, id: str, caller: Principal, reason: str
) -> tuple[Person, Reporter, AuditRow]:
    """Who reported the case, and the row that tells who wanted to know. The row never holds what was opened.

    Raises Forbidden (reporter-not-for-you), NotFound (cases-not-found, reporter-not-named).
    """
    reason = plain_text(reason, "reason", REASON_LIMIT, required=True)
    case = await uow.get(CASES, id)
    if not sight_on(case, caller).opens:
        raise Forbidden("reporter-not-for-you")
    if case.reporter is None or case.reporter.sealed is None:
        raise NotFound("reporter-not-named", id=id)
    person = reporters.person(case.reporter)
    row = await record(uow, caller.subject, Action.OPEN_REPORTER, id, person.taken_out_of(reason))
    return person, case.reporter, row
