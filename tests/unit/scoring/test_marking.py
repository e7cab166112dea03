"""How standards cost points, in the published wordings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.marking import Marking, Measured, RuleKind, marking_faults
from shared.errors import Invalid
from tests.unit.scoring.schemes import MARKINGS

BUS_STOPS = Marking(RuleKind.SHORTFALL, Decimal(4), 6)
"""公交站台看3处，每处至少2条: 少一条扣4分."""
PUBLIC_PLACES = Marking(RuleKind.SHORTFALL, Decimal(2), 10)
"""不少于10处，每少一处扣2分."""
BROADCASTS = Marking(RuleKind.RATIO, target=4)
"""得分 = 播出数量 / 4."""
LIT = Marking(RuleKind.RATIO)
HOME_PAGE = Marking(RuleKind.ALL_OR_NOTHING)
"""此项不得分."""
FINDINGS = Marking(RuleKind.PER_FINDING, Decimal("0.5"))
"""每发现一处扣0.5分."""


@pytest.mark.parametrize(
    ("marking", "points", "measured", "lost"),
    [
        (BUS_STOPS, "20", Measured(found=6), "0"),
        (BUS_STOPS, "20", Measured(found=5), "4"),
        (BUS_STOPS, "20", Measured(found=3), "12"),
        (BUS_STOPS, "20", Measured(found=0), "20"),
        (BUS_STOPS, "20", Measured(found=60), "0"),
        (PUBLIC_PLACES, "10", Measured(found=7), "6"),
        (PUBLIC_PLACES, "10", Measured(found=1), "10"),
        (Marking(RuleKind.SHORTFALL, Decimal(2)), "10", Measured(found=12, target=15), "6"),
        (BROADCASTS, "4", Measured(found=3), "1"),
        (BROADCASTS, "4", Measured(found=4), "0"),
        (BROADCASTS, "4", Measured(found=9), "0"),
        (BROADCASTS, "10", Measured(found=0), "10"),
        (Marking(RuleKind.RATIO, target=3), "10", Measured(found=1), "6.67"),
        (LIT, "4", Measured(ratio=Decimal("0.95")), "0.20"),
        (LIT, "4", Measured(ratio=Decimal(1)), "0"),
        (HOME_PAGE, "5", Measured(count=0), "0"),
        (HOME_PAGE, "5", Measured(count=1), "5"),
        (HOME_PAGE, "5", Measured(found=2, target=3), "5"),
        (HOME_PAGE, "5", Measured(found=3, target=3), "0"),
        (FINDINGS, "10", Measured(count=0), "0"),
        (FINDINGS, "10", Measured(count=3), "1.5"),
        (FINDINGS, "10", Measured(count=21), "10"),
    ],
)
def test_what_was_measured_costs_what_the_published_wording_says(
    marking: Marking, points: str, measured: Measured, lost: str
) -> None:
    assert marking.lost(Decimal(points), measured) == Decimal(lost)


@pytest.mark.parametrize(
    ("marking", "measured", "code", "field"),
    [
        (FINDINGS, Measured(), "measured-missing", "measured.count"),
        (FINDINGS, Measured(found=1), "measured-missing", "measured.count"),
        (FINDINGS, Measured(count=1, ratio=Decimal(1)), "measured-superfluous", "measured.ratio"),
        (FINDINGS, Measured(count=-1), "measured-unfit", "measured.count"),
        (BUS_STOPS, Measured(found=1, target=2), "measured-target-set", "measured.target"),
        (Marking(RuleKind.SHORTFALL, Decimal(2)), Measured(found=1), "measured-missing", "measured.target"),
        (Marking(RuleKind.SHORTFALL, Decimal(2)), Measured(found=1, target=0), "measured-unfit", "measured.target"),
        (LIT, Measured(ratio=Decimal("1.01")), "measured-unfit", "measured.ratio"),
        (LIT, Measured(found=3), "measured-missing", "measured.target"),
        (LIT, Measured(found=3, target=4, ratio=Decimal(1)), "measured-superfluous", "measured.ratio"),
        (HOME_PAGE, Measured(count=1, found=0, target=1), "measured-superfluous", "measured.found"),
    ],
)
def test_what_does_not_fit_the_rule_is_refused_by_name(
    marking: Marking, measured: Measured, code: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        marking.lost(Decimal(10), measured)
    assert (refused.value.code, refused.value.field) == (code, field)


COUNTS = st.integers(0, 1_000)


def _measured(marking: Marking, number: int, share: Decimal) -> Measured:
    if marking.kind is RuleKind.PER_FINDING:
        return Measured(count=number)
    if marking.kind is RuleKind.RATIO and marking.target is None:
        return Measured(ratio=share)
    return Measured(found=number, target=None if marking.target else 100)


@given(MARKINGS, st.decimals("0.01", 100, places=2), COUNTS, COUNTS, st.decimals(0, 1, places=4))
def test_nothing_costs_less_than_nothing_or_more_than_the_standard_and_more_is_never_worse(
    marking: Marking, points: Decimal, one: int, other: int, share: Decimal
) -> None:
    less, more = sorted((one, other))
    lost = [marking.lost(points, _measured(marking, number, share)) for number in (less, more)]
    assert all(0 <= each <= points and each == each.quantize(Decimal("0.01")) for each in lost)
    assert lost[0] <= lost[1] if marking.kind is RuleKind.PER_FINDING else lost[0] >= lost[1]


@pytest.mark.parametrize(
    ("marking", "code"),
    [
        (Marking(RuleKind.PER_FINDING), "marking-lacks-each"),
        (Marking(RuleKind.SHORTFALL, None, 3), "marking-lacks-each"),
        (Marking(RuleKind.RATIO, Decimal(1)), "marking-without-each"),
        (Marking(RuleKind.ALL_OR_NOTHING, Decimal(1)), "marking-without-each"),
        (Marking(RuleKind.PER_FINDING, Decimal(1), 3), "marking-without-target"),
        (Marking(RuleKind.SHORTFALL, Decimal(1), 0), "target-unfit"),
        (Marking(RuleKind.SHORTFALL, Decimal(0), 3), "points-unfit"),
        (Marking(RuleKind.PER_FINDING, Decimal("0.005")), "points-unfit"),
        (Marking(RuleKind.PER_FINDING, Decimal("NaN")), "points-unfit"),
    ],
)
def test_a_rule_has_what_it_needs_and_nothing_else(marking: Marking, code: str) -> None:
    assert [fault.code for fault in marking_faults(marking, "marking")] == [code]
