"""The versions of the assessment scheme: drafted, published, retired; and which of them a fact falls under."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from services.scoring.domain.acts import Act, decide
from services.scoring.domain.facts import Fact
from services.scoring.domain.periods import SealedScheme
from services.scoring.domain.schemes import (
    NAME_LIMIT,
    DistrictCodes,
    Edition,
    Scheme,
    SchemeContent,
    SchemeState,
    SchemeTree,
    StandardInForce,
    Timeline,
    Tree,
    standard_id,
    standards_of,
    text_faults,
    weight,
)
from services.scoring.domain.writing import YEARS, day_of, is_day
from services.scoring.repo import CURRENT, SCHEME_TREES, SCHEMES, STANDARDS, TIMELINES
from shared.contracts.scoring import FactKind, SchemePublished, SchemeRetired
from shared.errors import Invalid, NotFound, Several
from shared.months import bounds
from shared.own_cause import EVERY_UNIT, Decider
from shared.store import UnitOfWork
from shared.writing import tidy

FILE = "scheme.json"
"""Who made the version that came with the district's file."""


async def adopt_edition(uow: UnitOfWork, edition: Edition) -> bool:
    """Put the file's version to use where it is newer than all there are; whether the file's is (by now) known.

    Raises Refused (scheme-day-taken, scheme-empty), and what the edition gets wrong was told when it was read.
    """
    timeline = await _timeline(uow)
    if edition.version <= timeline.newest:
        known = await uow.find(SCHEMES, str(edition.version))
        return known is not None and known.made_by == FILE
    timeline.newest = edition.version - 1
    scheme = _draft(uow, timeline, edition.wanted, FILE)
    await _publish(uow, timeline, scheme, edition.wanted.tree, edition.effective_from, FILE)
    return True


async def draft(uow: UnitOfWork, known: DistrictCodes, wanted: SchemeContent, by: str) -> Scheme:
    """A new version, as a draft. Raises Several (scheme-faulty)."""
    return _draft(uow, await _timeline(uow), wanted.checked(known), by)


async def copy(uow: UnitOfWork, version: int, name: str, by: str) -> Scheme:
    """A draft that says what another version says, under its own name. Raises NotFound, Several (scheme-faulty)."""
    earlier, tree = await _scheme(uow, version), await _tree(uow, version)
    if found := list(text_faults("name", name, NAME_LIMIT, required=True)):
        raise Several("scheme-faulty", found)
    return _draft(uow, await _timeline(uow), SchemeContent(tidy(name), earlier.source, tree), by)


async def rewrite(
    uow: UnitOfWork, known: DistrictCodes, version: int, based_on: int, wanted: SchemeContent, by: str
) -> Scheme:
    """Put this in the place of a draft's content.

    Raises NotFound, Refused (scheme-not-a-draft, scheme-stale: `based_on` is not the draft's revision), Several.
    """
    scheme = await _scheme(uow, version)
    scheme.require_draft()
    scheme.require_revision(based_on)
    wanted = wanted.checked(known)
    scheme.write(wanted.name, wanted.source, wanted.tree, by, uow.now)
    await _tree(uow, version)
    uow.save(SCHEMES, scheme)
    uow.save(SCHEME_TREES, SchemeTree(scheme.id, wanted.tree))
    return scheme


async def publish(
    uow: UnitOfWork, known: DistrictCodes, version: int, based_on: int, effective_from: str, by: Decider
) -> Scheme:
    """Have a draft in force from a day on, today (Asia/Shanghai) at the earliest: what happened is not judged anew.

    Raises NotFound, Invalid (day-unfit, effective-from-past), Refused (scheme-not-a-draft, scheme-stale, scheme-empty,
    scheme-day-taken), Forbidden (second-person-required, decision-on-own-unit), Several (scheme-faulty: what the draft
    names is gone).
    """
    scheme, tree = await _scheme(uow, version), await _tree(uow, version)
    scheme.require_draft()
    scheme.require_revision(based_on)
    decide(Act.PUBLISH_SCHEME, by, units=EVERY_UNIT, people=[scheme.made_by, scheme.changed_by])
    if not is_day(effective_from):
        raise Invalid("day-unfit", field="effective_from", least=YEARS.start, limit=YEARS.stop - 1)
    if effective_from < (today := day_of(uow.now)):
        raise Invalid("effective-from-past", field="effective_from", today=today)
    SchemeContent(scheme.name, scheme.source, tree).checked(known)
    await _publish(uow, await _timeline(uow), scheme, tree, effective_from, by.subject)
    return scheme


async def retire(uow: UnitOfWork, version: int, by: Decider) -> Scheme:
    """End a published version now, or call it off before it begins. Raises NotFound, Refused (scheme-not-published)."""
    timeline, scheme = await _timeline(uow), await _scheme(uow, version)
    decide(Act.RETIRE_SCHEME, by, units=EVERY_UNIT)
    await _end(uow, timeline, scheme, min(uow.now, timeline.ends_at(version) or uow.now))
    return scheme


async def retire_succeeded(uow: UnitOfWork, id: str, _: object) -> None:
    """Retire a version whose successor has begun: the deadline of `Scheme.deadline_at`."""
    scheme = await uow.find(SCHEMES, id)
    if scheme is None or scheme.state is not SchemeState.PUBLISHED:
        return
    if scheme.deadline_at is not None and scheme.deadline_at <= uow.now:
        await _end(uow, await _timeline(uow), scheme, scheme.deadline_at)


async def located(uow: UnitOfWork, fact: Fact) -> Fact:
    """A finding with what its standard says of it: indicator, version and points, by the scheme in force then.

    A standard that the scheme does not have stays as it was told. Other facts are not looked at.
    """
    if fact.kind is not FactKind.FINDING or not fact.standard:
        return fact
    found = await standard_at(uow, fact.standard, fact.happened_at)
    if found is None:
        return fact
    return replace(fact, indicator=found.indicator, scheme=found.version, standard_points=found.standard.points)


async def load_standards(uow: UnitOfWork, facts: Iterable[Fact]) -> None:
    """What `located` will ask for."""
    asked = [(fact.standard, fact.happened_at) for fact in facts if fact.kind is FactKind.FINDING and fact.standard]
    timeline = await uow.find(TIMELINES, CURRENT) if asked else None
    if timeline is not None:
        versions = [(timeline.in_force(moment), code) for code, moment in asked]
        await uow.load(STANDARDS, [standard_id(version, code) for version, code in versions if version is not None])


async def standard_at(uow: UnitOfWork, code: str, moment: datetime) -> StandardInForce | None:
    """The standard by the scheme in force at that moment; None where none is, or it does not have it."""
    timeline = await uow.find(TIMELINES, CURRENT)
    version = timeline.in_force(moment) if timeline else None
    return None if version is None else await uow.find(STANDARDS, standard_id(version, code))


async def scheme_of(uow: UnitOfWork, period: str) -> SealedScheme | None:
    """What was in force at the end of a month, to be sealed with it; None where nothing was."""
    timeline = await uow.find(TIMELINES, CURRENT)
    _, end = bounds(period)
    version = timeline.in_force(end - timedelta(milliseconds=1)) if timeline else None
    if version is None:
        return None
    tree = (await uow.get(SCHEME_TREES, str(version))).tree
    return SealedScheme(
        version,
        [
            {"category": category.code, "content": content.code, **asdict(standard)}
            for category in tree
            for content in category.contents
            for standard in content.standards
        ],
    )


async def _timeline(uow: UnitOfWork) -> Timeline:
    timeline = await uow.find(TIMELINES, CURRENT)
    if timeline is None:
        timeline = Timeline(CURRENT)
        uow.insert(TIMELINES, timeline)
    return timeline


async def _scheme(uow: UnitOfWork, version: int) -> Scheme:
    scheme = await uow.find(SCHEMES, str(version))
    if scheme is None:
        raise NotFound("schemes-not-found", id=version)
    return scheme


async def _tree(uow: UnitOfWork, version: int) -> Tree:
    found = await uow.find(SCHEME_TREES, str(version))
    if found is None:
        raise NotFound("schemes-not-found", id=version)
    return found.tree


def _draft(uow: UnitOfWork, timeline: Timeline, wanted: SchemeContent, by: str) -> Scheme:
    timeline.newest += 1
    uow.save(TIMELINES, timeline)
    count, points = weight(wanted.tree)
    number = timeline.newest
    scheme = Scheme(str(number), number, wanted.name, wanted.source, count, points, made_at=uow.now, made_by=by)
    uow.insert(SCHEMES, scheme)
    uow.insert(SCHEME_TREES, SchemeTree(scheme.id, wanted.tree))
    return scheme


async def _publish(
    uow: UnitOfWork, timeline: Timeline, scheme: Scheme, tree: Tree, effective_from: str, by: str
) -> None:
    scheme.publish(effective_from, by, uow.now)
    timeline.begin(scheme.version, effective_from)
    uow.save(TIMELINES, timeline)
    event = SchemePublished(
        version=scheme.version, name=scheme.name, effective_from=effective_from, standards=scheme.standards
    )
    uow.save(SCHEMES, scheme, event)
    for standard in standards_of(scheme.version, tree):
        uow.insert(STANDARDS, standard)
    await _settle(uow, timeline)


async def _end(uow: UnitOfWork, timeline: Timeline, scheme: Scheme, at: datetime) -> None:
    scheme.retire(at)
    timeline.end(scheme.version, at)
    uow.save(TIMELINES, timeline)
    uow.save(SCHEMES, scheme, SchemeRetired(version=scheme.version))
    await _settle(uow, timeline)


async def _settle(uow: UnitOfWork, timeline: Timeline) -> None:
    """Have each published version end when the next begins."""
    going = {term.version: timeline.ends_at(term.version) for term in timeline.terms if term.retired_at is None}
    schemes = await uow.load(SCHEMES, map(str, going))
    for version, ends_at in going.items():
        scheme = schemes[str(version)]
        if scheme.deadline_at != ends_at:
            scheme.deadline_at = ends_at
            uow.save(SCHEMES, scheme)
