"""How a standard of the assessment scheme costs points: what is measured, and what that comes to.

The four kinds are those of the published wordings: "每发现一处扣0.5分", "少一条扣4分", "得分 = 播出数量 / 4" and
"此项不得分". Nothing costs more than the standard's points or less than nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from shared.errors import Invalid

POINTS_LIMIT = 100
"""A unit's score starts at 100, so no standard can cost more."""
POINTS_DECIMALS = 2
COUNT_LIMIT = 100_000
_CENT = Decimal("0.01")


class RuleKind(StrEnum):
    """How what was measured becomes points (计分方式)."""

    PER_FINDING = "per-finding"
    SHORTFALL = "shortfall"
    RATIO = "ratio"
    ALL_OR_NOTHING = "all-or-nothing"


@dataclass(frozen=True)
class Measured:
    """What was measured: how many findings (`count`), how much was `found` of a `target`, or a `ratio` of 0 to 1."""

    count: int | None = None
    found: int | None = None
    target: int | None = None
    ratio: Decimal | None = None


@dataclass(frozen=True)
class Marking:
    """The rule of a standard: `each` is the points of a finding or of one missing, `target` the count aimed at.

    Where the standard names no target (so many in each place that is looked at), whoever measures says it.
    """

    kind: RuleKind
    each: Decimal | None = None
    target: int | None = None

    def lost(self, points: Decimal, measured: Measured) -> Decimal:
        """What a standard of so many points loses: from 0 to `points`, with two decimals.

        A share of the points is rounded half up, as what is left of them. Raises Invalid: measured-missing,
        measured-superfluous, measured-unfit, measured-target-set.
        """
        measured = self._checked(measured)
        each = self.each or Decimal(0)
        if self.kind is RuleKind.PER_FINDING:
            return min(points, each * (measured.count or 0))
        if self.kind is RuleKind.SHORTFALL:
            return min(points, each * max(0, (measured.target or 0) - (measured.found or 0)))
        if self.kind is RuleKind.RATIO:
            return points - (points * min(Decimal(1), _share(measured))).quantize(_CENT, ROUND_HALF_UP)
        return Decimal(0) if _met(measured) else points

    def _checked(self, measured: Measured) -> Measured:
        """What was measured, with the standard's own target."""
        given = {each.name for each in fields(measured) if getattr(measured, each.name) is not None}
        if self.target is not None:
            if "target" in given:
                raise Invalid("measured-target-set", field="measured.target", target=self.target)
            measured = Measured(measured.count, measured.found, self.target, measured.ratio)
        forms = _FORMS[self.kind]
        form = next((form for form in forms if form[0] in given), forms[0])
        for name in form:
            if getattr(measured, name) is None:
                raise Invalid("measured-missing", field=f"measured.{name}")
        for name in sorted(given - set(form)):
            raise Invalid("measured-superfluous", field=f"measured.{name}", kind=self.kind.value)
        for name in form:
            value = getattr(measured, name)
            least, limit = (1 if name == "target" else 0), (1 if name == "ratio" else COUNT_LIMIT)
            if not (least <= value <= limit):
                raise Invalid("measured-unfit", field=f"measured.{name}", least=least, limit=limit)
        return measured


_FORMS = {
    RuleKind.PER_FINDING: (("count",),),
    RuleKind.SHORTFALL: (("found", "target"),),
    RuleKind.RATIO: (("found", "target"), ("ratio",)),
    RuleKind.ALL_OR_NOTHING: (("count",), ("found", "target")),
}
"""What each kind may be measured by; the first thing of a form tells which one is meant."""
TARGETED = frozenset(RuleKind) - {RuleKind.PER_FINDING}
PER_PIECE = frozenset({RuleKind.PER_FINDING, RuleKind.SHORTFALL})


def marking_faults(marking: Marking, field: str) -> Iterator[Invalid]:
    """What keeps a rule from being used."""
    if marking.kind in PER_PIECE and marking.each is None:
        yield Invalid("marking-lacks-each", field=f"{field}.each", kind=marking.kind.value)
    if marking.kind not in PER_PIECE and marking.each is not None:
        yield Invalid("marking-without-each", field=f"{field}.each", kind=marking.kind.value)
    if marking.each is not None:
        yield from points_faults(marking.each, f"{field}.each")
    if marking.target is not None:
        if marking.kind not in TARGETED:
            yield Invalid("marking-without-target", field=f"{field}.target", kind=marking.kind.value)
        elif not 1 <= marking.target <= COUNT_LIMIT:
            yield Invalid("target-unfit", field=f"{field}.target", limit=COUNT_LIMIT)


def points_faults(points: Decimal, field: str) -> Iterator[Invalid]:
    """Points are more than nothing, and have two decimals at the most."""
    if not (points.is_finite() and 0 < points <= POINTS_LIMIT and points == points.quantize(_CENT)):
        yield Invalid("points-unfit", field=field, limit=POINTS_LIMIT, decimals=POINTS_DECIMALS)


def _share(measured: Measured) -> Decimal:
    if measured.ratio is not None:
        return measured.ratio
    return Decimal(measured.found or 0) / Decimal(measured.target or 1)


def _met(measured: Measured) -> bool:
    if measured.count is not None:
        return measured.count == 0
    return (measured.found or 0) >= (measured.target or 0)
