"""Cases in every state, and who acts on them, for the tests of the reports domain."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.reports.domain import (
    SYSTEM,
    Act,
    Actor,
    Case,
    Category,
    Command,
    Events,
    Name,
    Place,
    Reporter,
    Routing,
    Side,
    Terms,
    Timetable,
    Why,
)
from shared.clock import CHINA
from shared.contracts import reports as contracts
from shared.contracts.reports import CaseEvent, CaseOverdue, CaseState, Channel, Kind, Level, Stage
from shared.errors import DomainError
from shared.workdays import WorkCalendar

CALENDAR = WorkCalendar()
TERMS = Terms(
    version=1,
    due_soon=Decimal("0.75"),
    orange="7 work-hours",
    red="21 work-hours",
    limits={
        Stage.SITE_CHECK: "4 work-hours",
        Stage.DISPATCH: "4 work-hours",
        Stage.ACKNOWLEDGE: "4 work-hours",
        Stage.DECIDE: "4 work-hours",
        Stage.VERIFY: "2 working days",
        Stage.CLOSE: "2 working days",
        Stage.ANSWER: "3 working days",
    },
    return_within="1 working day",
    reopen_within="7 working days",
    repeat_days=30,
    repeat_metres=50,
    duplicate_metres=100,
)
"""Those of the sample district."""
TIMETABLE = Timetable(CALENDAR, TERMS)
MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)


def china(content: str) -> datetime:
    """`03-02 09:00` of 2026 in Asia/Shanghai, in UTC. The second of March is an ordinary Monday."""
    return datetime.fromisoformat(f"2026-{content}").replace(tzinfo=CHINA).astimezone(UTC)


MONDAY_NINE = china("03-02 09:00")
"""The offices have just opened."""
DUE = china("03-02 15:00")
"""Four work-hours after Monday 09:00, as the offices close from 12:00 to 14:00."""

UNIT, OTHER_UNIT, HELPING_UNIT, OFFICE = "huanwei", "shizheng", "chengguan", "chuangwenban"
OFFICER = Actor(frozenset({Side.UNIT}), UNIT, "li")
STRANGER = Actor(frozenset({Side.UNIT}), "yuanlin", "zhao")
VERIFIER = Actor(frozenset({Side.VERIFIER}), None, "liu")
CENTRE = Actor(frozenset({Side.CENTRE}), OFFICE, "wang")
LEADER = Actor(frozenset({Side.LEADER}), OFFICE, "chen")
REPORTER = Actor(frozenset({Side.REPORTER}))
ACTORS = {
    Side.REPORTER: REPORTER,
    Side.UNIT: OFFICER,
    Side.VERIFIER: VERIFIER,
    Side.CENTRE: CENTRE,
    Side.LEADER: LEADER,
    Side.SYSTEM: SYSTEM,
}

TO_UNIT = Routing(UNIT, Why.CATEGORY)
TO_OFFICE = Routing(None, Why.TRIAGE)
RUBBISH = Category(
    code="exposed-rubbish",
    version=3,
    name=Name("暴露垃圾", "Exposed rubbish"),
    group="appearance",
    limit="4 work-hours",
    limit_source="示例",
    points=Decimal("0.5"),
    unit=UNIT,
)
LAMP = Category(
    code="street-light",
    version=1,
    name=Name("路灯不亮", "Street light out"),
    group="public-utilities",
    limit="2 working days",
    limit_source="示例",
    points=Decimal("0.2"),
    unit=UNIT,
)
"""With a limit that is longer than the one for acknowledging."""
ALLEY = Category(
    code="alley-dirty",
    version=1,
    name=Name("背街小巷脏乱", "Dirty alley"),
    group="appearance",
    limit="1 working day",
    limit_source="示例",
    points=Decimal(1),
    site_check=True,
)
"""Citizens' reports are looked at on the spot before they are filed."""
PLACE = Place(112.6, 26.88, "430476001004", "银光路口")


def act(by: Actor, now: datetime = MONDAY_NINE) -> Act:
    """Somebody acts at a time."""
    return Act(by, now, TIMETABLE)


def registered(
    category: Category = RUBBISH,
    routing: Routing = TO_UNIT,
    channel: Channel = Channel.CITIZEN,
    *,
    id: str = "20260302-0000000000",
    kind: Kind = Kind.PROBLEM,
    text: str = "垃圾无人清理",
    reporter: Reporter | None = None,
    photos: tuple[str, ...] = (),
    now: datetime = MONDAY_NINE,
) -> Case:
    """A new case of Monday, 09:00."""
    case, _ = Case.register(
        id=id,
        category=category,
        channel=channel,
        place=PLACE,
        routing=routing,
        act=act(REPORTER, now),
        kind=kind,
        text=text,
        reporter=reporter,
        photos=photos,
    )
    return case


DEEDS: dict[Command, Callable[[Case, Act], Events]] = {
    Command.CONFIRM: lambda case, act: case.confirm(act),
    Command.FILE: lambda case, act: case.file(act),
    Command.REJECT: lambda case, act: case.reject(act, "不属实"),
    Command.WITHDRAW: lambda case, act: case.withdraw(act),
    Command.DISPATCH: lambda case, act: case.dispatch(act, UNIT),
    Command.SPLIT: lambda case, act: case.split(act, [UNIT, OTHER_UNIT])[1],
    Command.ACKNOWLEDGE: lambda case, act: case.acknowledge(act),
    Command.START: lambda case, act: case.start(act),
    Command.RETURN: lambda case, act: case.give_back(act, "不属于本单位"),
    Command.ASK_EXTENSION: lambda case, act: case.ask_extension(act, "需要配件"),
    Command.GRANT_EXTENSION: lambda case, act: case.decide_extension(act, True, reason="情况属实"),
    Command.REFUSE_EXTENSION: lambda case, act: case.decide_extension(act, False, reason="时间充足"),
    Command.SUSPEND: lambda case, act: case.suspend(act, "需大修", act.now + timedelta(days=10)),
    Command.ASK_REPORTER: lambda case, act: case.ask_reporter(act, "具体在几号楼？"),
    Command.RESUME: lambda case, act: case.resume(act),
    Command.REPLY: lambda case, act: case.reply(act, "已清理"),
    Command.VERIFY_PASSED: lambda case, act: case.verify(act, True),
    Command.VERIFY_FAILED: lambda case, act: case.verify(act, False),
    Command.CLOSE: lambda case, act: case.close(act),
    Command.OBJECT: lambda case, act: case.object(act, "还是老样子", ["after"]),
    Command.RATE: lambda case, act: case.rate(act, True, True),
    Command.REOPEN: lambda case, act: case.reopen(act, reason="复查不合格"),
    Command.MERGE: lambda case, act: case.merge_into(act, another()),
    Command.UNMERGE: lambda case, act: case.unmerge(act, another()),
    Command.COMMENT: lambda case, act: case.comment(act, "已到现场"),
    Command.WITHDRAW: lambda case, act: case.withdraw(act, "已经好了"),
    Command.CHILD_ENDED: lambda case, act: case.child_ended(act, f"{case.id}-1"),
    Command.CHILD_REOPENED: lambda case, act: case.child_reopened(act, f"{case.id}-1"),
}
"""Every command in its plainest form."""
EVENTS: dict[Command, tuple[type[contracts.CaseEvent], ...]] = {
    Command.CONFIRM: (contracts.CaseSiteVerified,),
    Command.FILE: (contracts.CaseFiled,),
    Command.REJECT: (contracts.CaseRejected,),
    Command.WITHDRAW: (),
    Command.DISPATCH: (contracts.CaseDispatched,),
    Command.SPLIT: (contracts.CaseSplit,),
    Command.ACKNOWLEDGE: (contracts.CaseAcknowledged,),
    Command.START: (contracts.CaseWorkStarted,),
    Command.RETURN: (contracts.CaseReturned,),
    Command.ASK_EXTENSION: (contracts.CaseChanged,),
    Command.GRANT_EXTENSION: (contracts.CaseExtended,),
    Command.REFUSE_EXTENSION: (contracts.CaseChanged,),
    Command.SUSPEND: (contracts.CaseSuspended,),
    Command.ASK_REPORTER: (contracts.CaseWaiting,),
    Command.RESUME: (contracts.CaseResumed,),
    Command.REPLY: (contracts.CaseReplied,),
    Command.VERIFY_PASSED: (contracts.CaseVerified,),
    Command.VERIFY_FAILED: (contracts.CaseReworkOrdered,),
    Command.CLOSE: (contracts.CaseClosed,),
    Command.OBJECT: (contracts.CaseReopened,),
    Command.RATE: (contracts.CaseRated,),
    Command.REOPEN: (contracts.CaseReopened,),
    Command.MERGE: (contracts.CaseMerged,),
    Command.UNMERGE: (contracts.CaseUnmerged,),
    Command.COMMENT: (),
    Command.WITHDRAW: (),
    Command.CHILD_ENDED: (),
    Command.CHILD_REOPENED: (),
}
"""What each tells when nothing is late, the case was not routed and its other parts are open."""

_WAYS: dict[CaseState, tuple[tuple[Command, Actor], ...]] = {
    CaseState.REGISTERED: (),
    CaseState.SITE_VERIFIED: ((Command.CONFIRM, VERIFIER),),
    CaseState.FILED: ((Command.FILE, CENTRE),),
    CaseState.REJECTED: ((Command.REJECT, CENTRE),),
    CaseState.SPLIT: ((Command.SPLIT, CENTRE),),
    CaseState.DISPATCHED: ((Command.DISPATCH, CENTRE),),
    CaseState.RETURNED: ((Command.DISPATCH, CENTRE), (Command.RETURN, OFFICER)),
    CaseState.MERGED: ((Command.DISPATCH, CENTRE), (Command.MERGE, CENTRE)),
    CaseState.SUSPENDED: ((Command.DISPATCH, CENTRE), (Command.SUSPEND, LEADER)),
}
_TAKEN = (*_WAYS[CaseState.DISPATCHED], (Command.ACKNOWLEDGE, OFFICER))
_REPLIED = (*_TAKEN, (Command.START, OFFICER), (Command.REPLY, OFFICER))
_WAYS |= {
    CaseState.ACKNOWLEDGED: _TAKEN,
    CaseState.WAITING: (*_TAKEN, (Command.ASK_REPORTER, OFFICER)),
    CaseState.RECTIFYING: (*_TAKEN, (Command.START, OFFICER)),
    CaseState.REPLIED: _REPLIED,
    CaseState.REWORK: (*_REPLIED, (Command.VERIFY_FAILED, VERIFIER)),
    CaseState.VERIFIED: (*_REPLIED, (Command.VERIFY_PASSED, VERIFIER)),
    CaseState.CLOSED: (*_REPLIED, (Command.VERIFY_PASSED, VERIFIER), (Command.CLOSE, CENTRE)),
}
STATES = tuple(_WAYS)


def in_state(state: CaseState, category: Category = LAMP) -> Case:
    """A case that nobody had routed, and that came to `state` by the ordinary way, one minute a step."""
    case = registered(category, TO_OFFICE)
    for step, (command, by) in enumerate(_WAYS[state], 1):
        DEEDS[command](case, act(by, MONDAY_NINE + step * MINUTE))
    return case


def another() -> Case:
    """A case beside the one that is tested."""
    return registered(id="20260302-1111111111")


def kinds(events: Events) -> list[type[CaseEvent]]:
    """What was told."""
    return [type(event) for event in events]


def overdue(events: Events) -> list[tuple[Stage, Level]]:
    """What was told to have run out, and how far."""
    return [(event.stage, event.level) for event in events if isinstance(event, CaseOverdue)]


def refused(case: Case, code: str, deed: Callable[..., object], *content: object) -> DomainError:
    """The refusal, which must be of that code and leave the case as it was."""
    before = copy.deepcopy(case)
    with pytest.raises(DomainError) as refusal:
        deed(*content)
    assert refusal.value.code == code
    assert case == before
    return refusal.value
