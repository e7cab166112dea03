"""Schemes of the tests: small ones by hand, and any sound one by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from services.scoring.domain.marking import PER_PIECE, TARGETED, Marking, RuleKind
from services.scoring.domain.scheme_table import Dictionary
from services.scoring.domain.schemes import Category, Content, DistrictCodes, Method, Standard, Tree
from services.scoring.domain.writing import YEARS
from shared.writing import tidy

SLOW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
UNITS = {
    "gongjiao": "公交公司",
    "dangqun": "党群工作部",
    "huanwei": "环卫中心",
    "same-1": "同名单位",
    "same-2": "同名单位",
}
VENUES = {
    "bus-stop": "公交站台",
    "mall": "商场、超市",
    "cinema": "电影院",
    "road": "主次干道、商业大街",
    "odd": "=点位",
}
WORDS = Dictionary(UNITS, VENUES)
KNOWN: DistrictCodes = WORDS.known


def a_standard(code: str = "s-1", **change: Any) -> Standard:
    standard = Standard(
        code=code,
        text="每处至少2条公益广告，少一条扣4分",
        points=Decimal(20),
        marking=Marking(RuleKind.SHORTFALL, Decimal(4), 6),
        methods=(Method.FIELD,),
        venues=("bus-stop",),
        lead="gongjiao",
        supporting=("dangqun",),
        due="2026-12-31",
        source="示例",
    )
    return replace(standard, **change)


def a_tree(*standards: Standard, content: str = "c-1", category: str = "k-1") -> Tree:
    return (Category(category, "公益宣传", (Content(content, "公益广告", standards or (a_standard(),)),), "公益宣传"),)


def _is_plain(text: str) -> bool:
    return text == tidy(text) and text != ""


_STEMS = ("示例-环境-", "Ⅰ-", "0", "1e", "2026-12-", "A.", "x·", "_")
# Every character that may stand in a text, and what a spreadsheet would take for something else.
_TRICKY = st.sampled_from(
    ["=1+1", "+1", "-1", "@x", "007", "2026-12-31", "1e5", "#N/A", "TRUE", "_x0041_", "a\nb", "'a"]
)
_LETTERS = st.characters(
    exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="<\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
TEXTS = (_TRICKY | st.text(_LETTERS, min_size=1, max_size=20).map(tidy)).filter(_is_plain)
_POINTS = st.integers(1, 10_000).map(lambda cents: Decimal(cents) / 100)


def _markings(kind: RuleKind) -> st.SearchStrategy[Marking]:
    each: st.SearchStrategy[Decimal | None] = _POINTS if kind in PER_PIECE else st.none()
    target = st.none() | st.integers(1, 500) if kind in TARGETED else st.none()
    return st.builds(Marking, st.just(kind), each, target)


MARKINGS = st.sampled_from(RuleKind).flatmap(_markings)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A sound tree with at least one standard."""
    codes = (f"{draw(st.sampled_from(_STEMS))}{number}" for number in count(draw(st.integers(0, 20))))
    some = st.integers(1, 3)
    return tuple(
        Category(
            code=next(codes),
            name=draw(TEXTS),
            part=draw(st.just("") | TEXTS),
            contents=tuple(
                Content(next(codes), draw(TEXTS), tuple(draw(_standards(next(codes))) for _ in range(draw(some))))
                for _ in range(draw(some))
            ),
        )
        for _ in range(draw(some))
    )


def _standards(code: str) -> st.SearchStrategy[Standard]:
    units = st.lists(st.sampled_from(sorted(UNITS)), unique=True, max_size=4)
    return units.flatmap(
        lambda chosen: st.builds(
            Standard,
            code=st.just(code),
            text=TEXTS,
            points=_POINTS,
            marking=MARKINGS,
            methods=st.lists(st.sampled_from(Method), unique=True, min_size=1).map(tuple),
            venues=st.lists(st.sampled_from(sorted(VENUES)), unique=True).map(tuple),
            lead=st.just(chosen[0]) if chosen else st.none(),
            supporting=st.just(tuple(chosen[1:])),
            due=st.none() | st.dates(date(YEARS.start, 1, 1), date(YEARS.stop - 1, 12, 31)).map(date.isoformat),
            source=st.just("") | TEXTS,
        )
    )
