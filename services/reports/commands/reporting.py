"""What reporters do: report, follow, and have their say about the case that their code shows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.reports.commands import handling, intake
from services.reports.commands.intake import Reference, Submission
from services.reports.district import District
from services.reports.domain import Actor, Case
from services.reports.domain.abuse import marks_of_address
from services.reports.domain.feedback import Part, Tracker
from services.reports.domain.reporter import day_of
from services.reports.domain.tracking import CODE_RANDOM_BYTES, new_tracking_code, read_tracking_code
from services.reports.repo import CASES, FOLLOWERS, Follower
from services.reports.repo.reporters import ACCOUNT, TRACKING, Reporters, Sender, seconds_to_tomorrow
from shared.contracts.reports import CaseState, Kind
from shared.errors import Forbidden, NotFound, Refused, TooMany
from shared.store import UnitOfWork

FOLLOWER_ID_BYTES = 15
OVER = frozenset({CaseState.CLOSED, CaseState.REJECTED})


async def submit(
    uow: UnitOfWork, reporters: Reporters, reference: Reference, submission: Submission, sender: Sender, by: Actor
) -> tuple[Case, str]:
    """File what somebody reports; the case and its tracking code, which is kept nowhere.

    Raises what `intake.submit` and `Reporters.admit` raise.
    """
    terms, code = reference.district.reporting, _new_code()
    if sender.stranger:
        await reporters.admit(sender, terms, uow.now)
    moderation = await reporters.moderation(sender, terms, submission.channel, submission.photos)
    known = replace(submission, reporter=reporters.kept(sender, terms), person=sender.person)
    tracking = _digest(reporters, code)
    case = await intake.submit(uow, reference, known, by, moderation=moderation, tracking=tracking)
    return case, code


async def follow(uow: UnitOfWork, reporters: Reporters, id: str, account: str) -> tuple[Follower, str]:
    """Somebody wants to know how a case goes; the code that shows it to them.

    An account follows a case once: asking again gives a new code in place of the old one. Raises NotFound
    (cases-not-found), Refused (follow-ended).
    """
    case = await uow.get(CASES, id)
    if case.state in OVER:
        raise Refused("follow-ended", state=case.state.value)
    code = _new_code()
    known = _follower_id(id, reporters.vault.digest(ACCOUNT, account)) if account else None
    follower = await uow.find(FOLLOWERS, known) if known else None
    if follower is not None:
        follower.tracking = _digest(reporters, code)
        uow.save(FOLLOWERS, follower)
    else:
        follower = Follower(known or secrets.token_urlsafe(FOLLOWER_ID_BYTES), id, _digest(reporters, code))
        uow.insert(FOLLOWERS, follower)
    return follower, code


@dataclass(frozen=True)
class Holder:
    """Whose a code is, or an account: the case they reported, or one that they follow."""

    case: str
    follows: bool = False


async def holder_of_code(reporters: Reporters, typed: str) -> Holder:
    """Who holds the code. What is compared are keyed digests, so the time it takes tells nothing about codes.

    Raises Invalid (tracking-code-mistyped), NotFound (tracking-code-unknown).
    """
    tracking = {"tracking": {"$in": reporters.vault.digests(TRACKING, read_tracking_code(typed))}}
    if cases := await reporters.store.find(CASES, tracking, limit=1):
        return Holder(cases[0].id)
    if followers := await reporters.store.find(FOLLOWERS, tracking, limit=1):
        return Holder(followers[0].case, follows=True)
    raise NotFound("tracking-code-unknown")


async def holder_of_account(reporters: Reporters, account: str, id: str) -> Holder:
    """The account as reporter or follower of the case. Raises NotFound (cases-not-found)."""
    case = await reporters.store.get(CASES, id)
    if case is not None and reporters.owns(account, case.reporter):
        return Holder(id)
    digests = reporters.vault.digests(ACCOUNT, account)
    if await reporters.store.count(FOLLOWERS, {"_id": {"$in": [_follower_id(id, digest) for digest in digests]}}):
        return Holder(id, follows=True)
    raise NotFound("cases-not-found", id=id)


async def tracker_of(uow: UnitOfWork, holder: Holder) -> Tracker:
    """What the holder sees: the case, or the one that it is merged into as long as it is."""
    reported = await uow.get(CASES, holder.case)
    shown = await uow.get(CASES, reported.merged_into) if reported.merged_into else reported
    if holder.follows:
        return Tracker(Part.FOLLOWER, reported, shown)
    return Tracker(Part.REPORTER if shown is reported else Part.MERGED, reported, shown)


@dataclass(frozen=True)
class Respondent:
    """Somebody who has their say: by which hold on a case, and from which address."""

    holder: Holder
    address: str


async def update(
    uow: UnitOfWork,
    reporters: Reporters,
    district: District,
    by: Respondent,
    text: str,
    pictures: Sequence[str],
) -> Case:
    """More about the problem; to a question it is the answer, and the case goes on.

    Raises what `tracker_with_a_say` and `Case.comment` raise.
    """
    tracker = await tracker_with_a_say(uow, reporters, district, by)
    case = await handling.comment(uow, district, tracker.case.id, tracker.actor, text, False, pictures)
    if case.state is CaseState.WAITING and tracker.part is Part.REPORTER:
        await handling.handle(uow, district, case.id, tracker.actor, lambda waiting, act: waiting.resume(act))
    return case


async def rate(
    uow: UnitOfWork, reporters: Reporters, district: District, by: Respondent, resolved: bool, satisfied: bool
) -> Case:
    """Whether the problem is gone, and the result satisfies. Raises Refused (not-a-problem)."""
    tracker = await tracker_with_a_say(uow, reporters, district, by)
    if tracker.case.kind is not Kind.PROBLEM:
        raise Refused("not-a-problem")
    return await handling.handle(
        uow, district, tracker.case.id, tracker.actor, lambda case, act: case.rate(act, resolved, satisfied)
    )


async def object(
    uow: UnitOfWork,
    reporters: Reporters,
    district: District,
    by: Respondent,
    text: str,
    pictures: Sequence[str],
) -> Case:
    """It is not in order, and a photo shows it."""
    tracker = await tracker_with_a_say(uow, reporters, district, by)
    return await handling.object(uow, district, tracker.case.id, tracker.actor, text, pictures)


async def withdraw(uow: UnitOfWork, reporters: Reporters, district: District, by: Respondent, reason: str) -> Case:
    """The report is taken back. Raises Forbidden (say-of-reporters) where it is somebody else's."""
    tracker = await tracker_with_a_say(uow, reporters, district, by)
    if tracker.part is not Part.REPORTER:
        raise Forbidden("say-of-reporters")
    return await handling.handle(
        uow, district, tracker.case.id, tracker.actor, lambda case, act: case.withdraw(act, reason)
    )


async def tracker_with_a_say(uow: UnitOfWork, reporters: Reporters, district: District, by: Respondent) -> Tracker:
    """The tracker, if they may speak now.

    Raises Forbidden (say-of-reporters, reporter-banned), TooMany (updates-per-day).
    """
    tracker = await tracker_of(uow, by.holder)
    if tracker.part is Part.FOLLOWER:
        raise Forbidden("say-of-reporters")
    reporter = tracker.reported.reporter
    digests = [digest for digest in (reporter.account, reporter.phone) if digest] if reporter else []
    await reporters.refuse_banned([*marks_of_address(by.address), *digests], uow.now)
    terms = district.reporting
    if tracker.said_since(day_of(uow.now)) >= terms.updates_per_day:
        raise TooMany("updates-per-day", retry_after=seconds_to_tomorrow(uow.now), limit=terms.updates_per_day)
    return tracker


def _new_code() -> str:
    return new_tracking_code(secrets.token_bytes(CODE_RANDOM_BYTES))


def _digest(reporters: Reporters, code: str) -> str:
    return reporters.vault.digest(TRACKING, read_tracking_code(code))


def _follower_id(case: str, digest: str) -> str:
    return f"{case}:{digest[:32]}"
