"""Cases as a district with years of them would have: each filed and led through its life by the domain itself.

How often things happen and how long they take follows what cities publish of theirs: most of the work is done within
days, some drags on for months, a fifth of the reports tell of a place and a kind of problem that was reported before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.reports.district import District
from services.reports.domain import (
    ID_RANDOM_BYTES,
    SYSTEM,
    Act,
    Actor,
    Case,
    Category,
    Events,
    Place,
    Side,
    new_case_id,
)
from shared.contracts.reports import Channel, Kind
from shared.errors import DomainError
from shared.geo import Point

UNTIL = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""The present of these cases: Monday, 23 November 2026, 10:00 in Asia/Shanghai."""
YEARS = timedelta(days=1000)
"""How long ago the first of them was filed."""

_CHANNELS = {
    Channel.HOTLINE: 45,
    Channel.CITIZEN: 25,
    Channel.PATROL: 18,
    Channel.INSPECTION: 7,
    Channel.STAFF: 4,
    Channel.MEDIA: 1,
}
_STREETS = (
    "银光 金山 银山 祥光 采霞 祥云 香江 祥瑞 青峰 杨柳 岳麓 曙光 华兴 解放 蒸湘 船山 衡州 芙蓉 延安 长丰 "
    "天台 立新 学府 光辉"
)
_ROADS = "路 街 大道 巷"
_SPOTS = (
    "北门 南门 东门 西门 门口 路口 菜市场旁 公交站旁 小学门口 幼儿园旁 停车场 地下车库 单元楼下 楼顶 广场边 "
    "河边 桥下 超市门口"
)
_SINCE = "已经三天 好几个星期 昨天晚上开始 每天早上 下雨以后 节假日 长期 最近 上个月就反映过 多次投诉"
_EFFECTS = (
    "没有人清理 没人管 无人维修 影响通行 气味很大 很不安全 老人小孩容易摔倒 蚊虫很多 堵住了盲道 影响市容 夜间看不清 "
    "噪音很大 污水流到路上 占了半条路 差点出事故"
)
_WISHES = "请尽快处理 希望有关部门重视 请派人查看 请给个答复 希望不要再反弹 请安排整改"
_CHARACTERS = (
    "一二三四五六七八九十百千万元角年月日时上下左右前后内外大小多少长短高低新旧好坏红黄蓝绿黑白"
    "人民公园学校医院商店车船树木花草鸟鱼虫山水田土石火风云雨雪天地"
)

_CHECKER = Actor(frozenset({Side.VERIFIER}), None, "checker")
_CENTRE = Actor(frozenset({Side.CENTRE, Side.VERIFIER}), None, "centre")
_LEADER = Actor(frozenset({Side.LEADER}), None, "leader")
_REPORTER = Actor(frozenset({Side.REPORTER}))

Step = Callable[[Case, Act], Events]


class _Ended(Exception):
    """The case is where it is at the present."""


@dataclass
class _Life:
    """One case on its way; `now` is when the last thing happened to it."""

    district: District
    chance: random.Random
    until: datetime
    now: datetime
    parts: list[Case] = field(default_factory=list)

    def act(self, by: Actor) -> Act:
        return Act(by, self.now, self.district.timetable)

    def later(self, hours: float) -> None:
        """Time goes by, usually about as much as said. Raises _Ended at the present."""
        self.now += timedelta(hours=self.chance.lognormvariate(0, 1) * hours)
        if self.now >= self.until:
            raise _Ended

    def after(self, hours: float, by: Actor, case: Case, deed: Step) -> None:
        """Somebody does something, unless the terms do not allow it any more."""
        self.later(hours)
        with suppress(DomainError):
            deed(case, self.act(by))

    def happens(self, share: float) -> bool:
        return self.chance.random() < share


def lives(
    district: District, first: int, last: int, of: int, until: datetime = UNTIL, span: timedelta = YEARS
) -> Iterator[Case]:
    """The cases numbered `first` to `last` (exclusive) of so many, in the order in which they were filed.

    The same numbers give the same cases; parts of a case come with it, beyond the number.
    """
    chance = random.Random(first)
    recent: dict[tuple[str, str], str] = {}
    categories = list(district.categories.values())
    random.Random(1).shuffle(categories)
    weights = [1 / (1 + place) ** 0.8 for place in range(len(categories))]
    for number in range(first, last):
        filed = until - span * (1 - (number + chance.random()) / of)
        life = _Life(district, chance, until, filed)
        case = _filed(life, chance.choices(categories, weights)[0], recent)
        recent[case.category, case.place.community] = case.id
        with suppress(_Ended):
            _live(life, case)
        yield from _looked_at(life, [case, *life.parts])


def _looked_at(life: _Life, cases: list[Case]) -> Iterator[Case]:
    """The cases after the clock has told what it has to tell by the present."""
    for case in cases:
        if case.is_due(life.until):
            case.mark_overdue(Act(SYSTEM, life.until, life.district.timetable))
        yield case


def _filed(life: _Life, category: Category, recent: dict[tuple[str, str], str]) -> Case:
    chance, district = life.chance, life.district
    kind = Kind.PRAISE if life.happens(0.02) else Kind.PROBLEM
    point = Point(chance.triangular(112.571, 112.619, 112.602), chance.triangular(26.861, 26.909, 26.881))
    areas = district.areas_at(point)
    assert areas is not None, "all of the box lies in the sample district"
    street = f"{chance.choice(_STREETS.split())}{chance.choice(_ROADS.split())}{chance.randrange(1, 400)}号"
    address = f"{street}{chance.choice(_SPOTS.split())}"
    case, _ = Case.register(
        id=new_case_id(life.now, chance.randbytes(ID_RANDOM_BYTES)),
        category=category,
        channel=chance.choices(list(_CHANNELS), list(_CHANNELS.values()))[0],
        place=Place(point.longitude, point.latitude, areas.community, address, grid=areas.grid),
        routing=district.router.route(category, areas, life.now),
        act=life.act(_CENTRE),
        kind=kind,
        text=_text(chance, category),
        photos=("0" * 32,) if category.photo_required else (),
        repeat_of=recent.get((category.code, areas.community)) if life.happens(0.2) else None,
    )
    return case


def _text(chance: random.Random, category: Category) -> str:
    some = "".join(chance.choice(_CHARACTERS) for _ in range(chance.randrange(2, 8)))
    effects = "，".join(chance.sample(_EFFECTS.split(), 2))
    return f"{category.name.zh}，{chance.choice(_SINCE.split())}，{some}，{effects}，{chance.choice(_WISHES.split())}。"


def _live(life: _Life, case: Case) -> None:
    if case.ended:
        return
    if case.site_check:
        life.after(6, _CHECKER, case, lambda case, act: case.confirm(act))
    if case.unit is None:
        if life.happens(0.04):
            life.after(6, _CENTRE, case, lambda case, act: case.reject(act, "现场未见"))
            return
        if life.happens(0.02):
            _split(life, case)
            return
        _dispatch(life, case)
    if life.happens(0.03):
        life.after(1, _officer(case), case, lambda case, act: case.give_back(act, "不属于本单位职责"))
        _dispatch(life, case)
    _work(life, case)


def _dispatch(life: _Life, case: Case) -> None:
    unit = life.chance.choice(list(life.district.units))
    helping = [other for other in life.chance.sample(list(life.district.units), 2) if other != unit][
        : life.happens(0.1)
    ]
    life.after(8, _CENTRE, case, lambda case, act: case.dispatch(act, unit, supporting=helping))


def _split(life: _Life, case: Case) -> None:
    units = life.chance.sample(list(life.district.units), 2)
    life.later(8)
    life.parts, _ = case.split(life.act(_CENTRE), units)
    since = life.now
    for part in life.parts:
        life.now = since
        with suppress(_Ended):
            _work(life, part)
        if part.ended:
            case.child_ended(life.act(SYSTEM), part.id)


def _work(life: _Life, case: Case) -> None:
    """From the unit's acknowledgement to the reporter's word."""
    officer = _officer(case)
    life.after(2, officer, case, lambda case, act: case.acknowledge(act))
    if life.happens(0.01):
        review_at = life.now + timedelta(days=life.chance.randrange(10, 30))
        life.after(5, _LEADER, case, lambda case, act: case.suspend(act, "季节性施工", review_at))
        life.after(400, _LEADER, case, lambda case, act: case.resume(act))
    if life.happens(0.02):
        life.after(1, officer, case, lambda case, act: case.ask_reporter(act, "具体在几号楼？"))
        life.after(12, officer, case, lambda case, act: case.resume(act))
    life.after(3, officer, case, lambda case, act: case.start(act))
    if life.happens(0.04) and case.due_at is not None and case.due_at > life.now:
        further = "10 working days" if life.happens(0.3) else None
        case.ask_extension(life.act(officer), "配件未到", limit=further)
        life.after(10, _LEADER, case, lambda case, act: case.decide_extension(act, True, reason="同意"))
    slow = 120 if life.happens(0.025) else 1
    passed = False
    while not passed:
        life.after(30 * slow, officer, case, lambda case, act: case.reply(act, "已清运，并增加夜间巡查"))
        passed = life.happens(0.92)
        life.after(30, _CHECKER, case, _verified(passed))
    life.after(20, _CENTRE, case, lambda case, act: case.close(act))
    _say(life, case)


def _verified(passed: bool) -> Step:
    return lambda case, act: case.verify(act, passed)


def _say(life: _Life, case: Case) -> None:
    """What the reporter says to it."""
    if life.happens(0.01):
        life.after(24, _REPORTER, case, lambda case, act: case.object(act, "没有清完", ("1" * 32,)))
        if not case.ended:
            _work(life, case)
    elif life.happens(0.3):
        resolved, satisfied = life.happens(0.9), life.happens(0.85)
        life.after(20, _REPORTER, case, lambda case, act: case.rate(act, resolved, satisfied))


def _officer(case: Case) -> Actor:
    return Actor(frozenset({Side.UNIT}), case.unit, "officer")
