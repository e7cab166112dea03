"""What the office does against abuse: it looks at what newcomers hand in, and shuts out who spoils it for others."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.reports.commands import photos
from services.reports.commands.audit import Action, record
from services.reports.domain import Case, Moderation, Person, plain_text
from services.reports.domain.abuse import Ban, BanKind, banned_network, mark_of_network
from services.reports.domain.person import same_number
from services.reports.domain.reporter import ReportingTerms
from services.reports.domain.writing import phone_number
from services.reports.repo import BANS, CASES
from services.reports.repo.reporters import ACCOUNT, PHONE, Reporters
from shared.errors import Invalid, Refused
from shared.store import UnitOfWork

BAN_ID_BYTES = 9
MODERATED_AT_ONCE = 100


async def moderate(
    uow: UnitOfWork, reporters: Reporters, ids: Sequence[str], moderation: Moderation, reason: str, who: str
) -> list[Case]:
    """Let the public see what was handed in, or not; all of the cases or none. The parts of a case go with it.

    Raises Invalid (case-unknown; text-required: withholding needs a reason), Refused (reporter-does-not-agree).
    """
    reason = plain_text(reason, "reason", required=moderation is Moderation.WITHHELD)
    found = await uow.load(CASES, ids)
    for place, id in enumerate(ids):
        if id not in found:
            raise Invalid("case-unknown", field=f"cases.{place}", given=id[:100])
        redacted = reporters.person_if_readable(found[id].reporter).taken_out_of(reason)
        await record(uow, who, Action.MODERATE, id, redacted, {"moderation": moderation.value})
    parts = await uow.load(CASES, [part for case in found.values() for part in case.children])
    for case in (*found.values(), *parts.values()):
        if moderation is Moderation.APPROVED and case.reporter is not None and not case.reporter.may_publish:
            raise Refused("reporter-does-not-agree", case=case.id)
        uow.save(CASES, case, *case.moderate(moderation, uow.now))
        await photos.publish(uow, case)
    return list(found.values())


@dataclass(frozen=True)
class Whom:
    """Whom a ban is to meet: by `value` a network, an account or a number, or whoever reported the `case`."""

    kind: BanKind
    value: str | None = field(default=None, repr=False)
    case: str | None = None


async def ban(
    uow: UnitOfWork, reporters: Reporters, terms: ReportingTerms, whom: Whom, until: datetime, reason: str, who: str
) -> Ban:
    """Shut somebody out until a time; their name and number are taken out of the reason.

    Raises Invalid (ban-past, ban-of-whom, network-malformed, network-too-wide, phone-not-a-number), NotFound
    (cases-not-found), Refused (ban-of-nobody: the case does not tell).
    """
    reason = plain_text(reason, "reason", required=True)
    if until <= uow.now:
        raise Invalid("ban-past", field="until")
    if (whom.value is None) is (whom.case is None):
        raise Invalid("ban-of-whom", field="value")
    mark, network, person = await _met(uow, reporters, terms, whom)
    made = Ban(
        id=secrets.token_urlsafe(BAN_ID_BYTES),
        kind=whom.kind,
        marks=(mark,),
        network=network,
        reason=person.taken_out_of(reason),
        who=who,
        since=uow.now,
        until=until,
    )
    uow.insert(BANS, made)
    await record(uow, who, Action.BAN, made.id, made.reason, {"kind": made.kind.value, "until": until.isoformat()})
    return made


async def _met(
    uow: UnitOfWork, reporters: Reporters, terms: ReportingTerms, whom: Whom
) -> tuple[str, str | None, Person]:
    """What recognises them, the network if it is one, and who they are as far as that is known."""
    if whom.case is not None:
        case = await uow.get(CASES, whom.case)
        return _mark_in(case, whom.kind), None, reporters.person_if_readable(case.reporter)
    value = whom.value or ""
    if whom.kind is BanKind.ADDRESS:
        network = banned_network(value)
        return mark_of_network(network), str(network), Person()
    if whom.kind is BanKind.PHONE:
        phone = phone_number(value, "value")
        return reporters.vault.digest(PHONE, same_number(phone, terms.area_code)), None, Person(phone=phone)
    return reporters.vault.digest(ACCOUNT, value), None, Person()


async def lift(uow: UnitOfWork, id: str, who: str, reason: str) -> Ban:
    """The ban ends now. Raises NotFound (bans-not-found), Refused (ban-over)."""
    lifted = await uow.get(BANS, id)
    lifted.lift(uow.now)
    uow.save(BANS, lifted)
    await record(uow, who, Action.LIFT_BAN, id, plain_text(reason, "reason", required=True))
    return lifted


def _mark_in(case: Case, kind: BanKind) -> str:
    marks = {BanKind.ACCOUNT: case.reporter.account, BanKind.PHONE: case.reporter.phone} if case.reporter else {}
    if (mark := marks.get(kind)) is None:
        raise Refused("ban-of-nobody", kind=kind.value)
    return mark
