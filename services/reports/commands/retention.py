"""What has been kept long enough goes: found and erased in batches, each whole or not at all, with its proof.

A batch is one unit of work: cases, tracking codes, the report of it and its row in the audit log. Whatever is killed
when, a case is erased once and stands in one report, and the next run goes on where the last one ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from services.reports.commands import documents, photos
from services.reports.commands.audit import Action, record
from services.reports.district import District
from services.reports.domain import AnswerKind, Case, CategoryVersion, plain_text
from services.reports.domain.catalogue import version_id
from services.reports.domain.erasure import Erasure, Redaction, Rule, erase, forget_merged, forget_reporter
from services.reports.domain.reporter import next_day
from services.reports.repo import CASES, CATEGORY_VERSIONS, ERASURES, FOLLOWERS, RETENTION, Retention
from services.reports.repo.reporters import Reporters
from shared.contracts.reports import CaseState
from shared.errors import Duplicate, Refused
from shared.store import Store, UnitOfWork

JOB = "retention"
BATCH = 50
CODES_AT_ONCE = 1_000
AT_NIGHT = timedelta(hours=3)
"""After midnight in Asia/Shanghai."""
CLOCK = "clock"
"""Who erased, where nobody asked for it."""
OVER = frozenset({CaseState.CLOSED, CaseState.REJECTED})
"""States in which nobody needs the report any more. A merged case goes with the one it was merged into."""


@dataclass(frozen=True)
class Swept:
    """What a batch erased, and whether there may be more."""

    cases: int
    more: bool


async def plan(store: Store) -> None:
    """Have the job there; at first it is due at once."""

    async def command(uow: UnitOfWork) -> None:
        if await uow.find(RETENTION, JOB) is None:
            uow.insert(RETENTION, Retention(JOB, uow.now))

    with contextlib.suppress(Duplicate):
        await store.run(command)


async def sweep(uow: UnitOfWork, reporters: Reporters, district: District, id: str) -> None:
    """The job is due: one batch, and again at once while there is more, else the next night."""
    job = await uow.find(RETENTION, id)
    if job is None or job.deadline_at > uow.now:
        return
    swept = await erase_batch(uow, reporters, district, CLOCK)
    job.deadline_at = uow.now if swept.more else next_day(uow.now) + AT_NIGHT
    uow.save(RETENTION, job)


async def erase_batch(uow: UnitOfWork, reporters: Reporters, district: District, who: str) -> Swept:
    """Erase what is due, at most BATCH cases and those that were merged into them."""
    due, more = await _due(uow, reporters, district)
    if not due:
        return Swept(0, more)
    merged = await uow.load(CASES, [id for case in due for id in case.merged])
    cases = [*due, *merged.values()]
    codes = await _end_codes(uow, reporters, cases, CODES_AT_ONCE)
    if codes == CODES_AT_ONCE:
        return Swept(0, more=True)
    await _erase(uow, reporters, cases)
    await _prove(uow, district, cases, codes, Rule.RETENTION, who)
    return Swept(len(cases), more)


async def erase_reporter(
    uow: UnitOfWork, reporters: Reporters, district: District, id: str, who: str, reason: str
) -> Case:
    """Somebody asked for it: nobody can tell any more who reported. Of a case that is over everything personal goes.

    Raises Refused (reporter-erased-already).
    """
    case = await uow.get(CASES, id)
    if case.erased_at is not None or (case.state not in OVER and case.reporter is None and case.tracking is None):
        raise Refused("reporter-erased-already")
    person = reporters.person_if_readable(case.reporter)
    reason = person.taken_out_of(plain_text(reason, "reason", required=True))
    cases = [case, *(await uow.load(CASES, case.children)).values()]
    over = [each for each in cases if each.state in OVER]
    codes = await _end_codes(uow, reporters, over)
    await _erase(uow, reporters, over)
    redaction = Redaction((person,))
    for each in cases:
        if each.state not in OVER:
            await documents.forget(uow, reporters.store, each, redaction, whole=False)
            uow.save(CASES, each, *forget_reporter(each, redaction))
    if case.merged_into is not None:
        into = await uow.get(CASES, case.merged_into)
        await documents.forget(uow, reporters.store, into, redaction, whole=False)
        uow.save(CASES, into, *forget_merged(into, redaction, case.id))
    await _prove(uow, district, cases, codes, Rule.REQUEST, who, reason)
    return case


async def _due(uow: UnitOfWork, reporters: Reporters, district: District) -> tuple[list[Case], bool]:
    """What is due, and whether there may be more. Looked up outside the unit, and looked at again in it."""
    horizon = district.reporting.horizon(uow.now)
    wanted = {
        "erased_at": None,
        "ended_at": {"$lte": horizon},
        "state": {"$in": [state.value for state in OVER]},
    }
    found = await reporters.store.driver.find(CASES.name, wanted, [("ended_at", 1)], BATCH, fields=())
    cases = (await uow.load(CASES, [document["_id"] for document in found])).values()
    due = [
        case
        for case in cases
        if case.state in OVER and case.erased_at is None and case.ended_at is not None and case.ended_at <= horizon
    ]
    return due, len(found) == BATCH


async def _erase(uow: UnitOfWork, reporters: Reporters, cases: Sequence[Case]) -> None:
    """The cases, and what is kept of them elsewhere: papers quote them, photos belong to them."""
    wholes = await uow.load(CASES, [case.parent for case in cases if case.parent is not None])
    merged = await uow.load(CASES, [id for case in cases for id in case.merged])
    versions = await uow.load(CATEGORY_VERSIONS, [_version(case) for case in cases])
    redactions = [
        _redaction(
            reporters, [wholes.get(case.parent or "") or case, *(merged[id] for id in case.merged if id in merged)]
        )
        for case in cases
    ]
    for case, redaction in zip(cases, redactions, strict=True):
        await documents.forget(uow, reporters.store, case, redaction, whole=True)
        await photos.forget(uow, case)
        uow.save(CASES, case, *erase(case, redaction, uow.now, _figures(versions.get(_version(case)))))


def _redaction(reporters: Reporters, cases: Iterable[Case]) -> Redaction:
    """Everybody who reported one of the cases: what is written of one may stand in another."""
    return Redaction(tuple(reporters.person_if_readable(case.reporter) for case in cases))


def _version(case: Case) -> str:
    return version_id(case.category, case.category_version)


def _figures(version: CategoryVersion | None) -> set[str]:
    """The questions whose answers tell nothing of a person: all but the free ones."""
    questions = version.category.questions if version else ()
    return {question.code for question in questions if question.kind is not AnswerKind.TEXT}


async def _end_codes(uow: UnitOfWork, reporters: Reporters, cases: Iterable[Case], limit: int = 0) -> int:
    """End the codes of followers of the cases, at most `limit` (0: all); how many."""
    wanted = {"case": {"$in": [case.id for case in cases]}}
    found = await reporters.store.driver.find(FOLLOWERS.name, wanted, (), limit, fields=())
    codes = await uow.load(FOLLOWERS, [document["_id"] for document in found])
    for code in codes.values():
        uow.delete(FOLLOWERS, code)
    return len(codes)


async def _prove(
    uow: UnitOfWork,
    district: District,
    cases: Sequence[Case],
    codes: int,
    rule: Rule,
    who: str,
    reason: str = "",
) -> None:
    """The report, and the row of the audit log that fixes which cases are in it."""
    ids = tuple(sorted(case.id for case in cases))
    terms = district.reporting
    detail = {
        "rule": rule.value,
        "days": str(terms.retention_days),
        "terms": str(terms.version),
        "cases": str(len(ids)),
        "sha256": sha256("\n".join(ids).encode()).hexdigest(),
    }
    subject = ids[0] if rule is Rule.REQUEST else JOB
    row = await record(uow, who, Action.ERASE, subject, reason, detail)
    uow.insert(ERASURES, Erasure(row.id, row.number, uow.now, rule, terms.retention_days, ids, codes))
