"""What people ask of a million cases, each question in as many variants as there are cases to ask for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from services.reports.views.figures import Dimension
from services.reports.views.filters import CHANNELS, LEVELS, Sorting
from services.reports.views.queue import duties_of, queue_of
from shared.auth import Principal
from shared.contracts.reports import CaseState, Kind, Stage
from shared.roles import Role
from shared.store.collection import Document
from tests.load.asking import Ask, Question, Sample
from tests.load.lives import UNTIL

STATES = [CaseState.CLOSED, CaseState.RECTIFYING, CaseState.REPLIED, CaseState.VERIFIED, CaseState.REWORK]
STATES += [CaseState.DISPATCHED, CaseState.ACKNOWLEDGED, CaseState.RETURNED, CaseState.REJECTED, CaseState.SUSPENDED]
STAGES = [stage for stage in Stage if stage not in {Stage.DECIDE, Stage.OTHER}]
FIGURES_MS = 1000.0


def _week(sample: Sample) -> dict[str, Any]:
    since = sample.any("registered_at")
    return {"registered_after": since, "registered_before": since + timedelta(days=7)}


def _two_words(sample: Sample, case: Document) -> str:
    return f"{sample.words(case, 2)} {sample.words(case, 3)}"


async def _own_words(sample: Sample) -> object:
    officer = sample.officer
    return await sample.page(caller=officer, text=sample.words(sample.any_case(unit=officer.unit), 3))


async def _words_of_category(sample: Sample) -> object:
    case = sample.any_case()
    return await sample.page(category=[case["category"]], text=sample.words(case, 3))


def _queues() -> Iterator[Question]:
    callers = {
        role: Principal(role.value, frozenset({role}), unit)
        for role, unit in (
            (Role.OFFICER, "huanwei"),
            (Role.VERIFIER, None),
            (Role.DISPATCHER, None),
            (Role.LEADER, None),
        )
    }
    for role, caller in callers.items():
        for duty in duties_of(caller):
            yield Question(f"queue of the {role}: {duty.kind}", _queue(caller, duty.kind))


def _queue(caller: Principal, kind: str) -> Ask:
    """A queue of the caller's, an officer's in turn that of each unit."""

    async def ask(sample: Sample) -> object:
        who = sample.officer if caller.unit is not None else caller
        return await queue_of(sample.store, who, kind, None, 50)

    return ask


NEWEST, DEADLINE = Sorting.NEWEST, Sorting.DEADLINE
QUESTIONS = (
    Question("list: all", lambda s: s.page()),
    Question("list: from a page in the middle", lambda s: s.page(after=s.position(NEWEST))),
    Question("list: of an officer", lambda s: s.page(caller=s.officer)),
    Question("list: of an officer, in a state", lambda s: s.page(caller=s.officer, state=[s.chance.choice(STATES)])),
    Question("list: of an officer, from the middle", lambda s: s.page(caller=s.officer, after=s.position(NEWEST))),
    Question("list: in one to three states", lambda s: s.page(state=s.chance.sample(STATES, s.chance.randint(1, 3)))),
    Question("list: of a category", lambda s: s.page(category=[s.any("category")])),
    Question("list: of a community", lambda s: s.page(community=[s.community])),
    Question("list: through a channel", lambda s: s.page(channel=[s.chance.choice(CHANNELS)])),
    Question("list: praise", lambda s: s.page(kind=Kind.PRAISE, after=s.position(NEWEST))),
    Question("list: repeats", lambda s: s.page(repeat=True, after=s.position(NEWEST))),
    Question("list: objected", lambda s: s.page(objected=True, after=s.position(NEWEST))),
    Question("list: at a level", lambda s: s.page(level=[s.chance.choice(LEVELS)])),
    Question("list: overdue, of a category", lambda s: s.page(overdue=True, category=[s.any("category")])),
    Question("list: due soon", lambda s: s.page(due_soon=True)),
    Question(
        "list: category × community",
        lambda s: s.page(category=[s.any("category")], community=[s.community]),
    ),
    Question(
        "list: three categories × two communities",
        lambda s: s.page(category=[s.any("category") for _ in range(3)], community=[s.community, s.community]),
    ),
    Question(
        "list: category × channel",
        lambda s: s.page(category=[s.any("category")], channel=[s.chance.choice(CHANNELS)]),
    ),
    Question(
        "list: community × channel × repeats",
        lambda s: s.page(community=[s.community], channel=[s.chance.choice(CHANNELS)], repeat=True),
    ),
    Question(
        "list: state × category × community",
        lambda s: s.page(state=[s.chance.choice(STATES)], category=[s.any("category")], community=[s.community]),
    ),
    Question("list: unit × category", lambda s: s.page(unit=s.any("unit"), category=[s.any("category")])),
    Question("list: unit × community", lambda s: s.page(unit=s.any("unit"), community=[s.community])),
    Question("list: two to four filters that fit a case", lambda s: s.page(**s.filters(2, 4))),
    Question(
        "list: a week, with one to three filters",
        lambda s: s.page(**s.filters(1, 3), **_week(s)),
    ),
    Question("by deadline: all", lambda s: s.page(DEADLINE)),
    Question("by deadline: from a page in the middle", lambda s: s.page(DEADLINE, after=s.position(DEADLINE))),
    Question("by deadline: of an officer", lambda s: s.page(DEADLINE, s.officer)),
    Question("by deadline: at a stage", lambda s: s.page(DEADLINE, stage=[s.chance.choice(STAGES)])),
    Question("by deadline: at a level", lambda s: s.page(DEADLINE, level=[s.chance.choice(LEVELS)])),
    Question(
        "by deadline: due within a day",
        lambda s: s.page(DEADLINE, due_after=UNTIL, due_before=UNTIL + timedelta(days=1)),
    ),
    Question(
        "by deadline: category × community",
        lambda s: s.page(DEADLINE, category=[s.any("category")], community=[s.community]),
    ),
    Question("by deadline: suspended, by review", lambda s: s.page(DEADLINE, state=[CaseState.SUSPENDED])),
    Question("text: two characters", lambda s: s.page(text=s.words(s.any_case(), 2))),
    Question("text: three or four characters", lambda s: s.page(text=s.words(s.any_case(), s.chance.choice((3, 4))))),
    Question("text: two words of one case", lambda s: s.page(text=_two_words(s, s.any_case()))),
    Question("text: an address", lambda s: s.page(text=s.any("place")["address"][:10])),
    Question("text: a number", lambda s: s.page(text=s.any("_id"))),
    Question("text: of an officer", _own_words),
    Question("text: with a category", _words_of_category),
    Question("map: the district", lambda s: s.map(0.1)),
    Question("map: a quarter", lambda s: s.map(0.012)),
    Question("map: some streets", lambda s: s.map(0.003)),
    Question("map: overdue of a category", lambda s: s.map(0.1, categories=[s.any("category")], overdue=True)),
    *_queues(),
    *(
        Question(f"figures of a month, by {dimension.value}", partial(Sample.month, dimension=dimension), FIGURES_MS)
        for dimension in Dimension
    ),
)
