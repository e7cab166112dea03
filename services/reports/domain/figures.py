"""What the office reports about a period: how many cases, and the rates that follow (办理指标).

Two cohorts. What was *registered* in the period gives 受理, 立案, 退单 and 重复; what was *due* in it gives the rest.
A case is due in the period in which its unit's last limit ended, met or not, so each case is counted once. 结案率
divides by cases due, not by cases filed: Tianmen reports 应结案 972, 结案 911 as 93.72 % with 996 filed
(hbcic.net.cn/info/wcm/74587.htm). 按时办结率 is that of Hengdong's hotline: 1,472 orders, 3 late, 99.80 %
(hengdong.gov.cn, September 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal

HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True)
class Counts:
    """Cases of a period; each number but the first of a cohort is part of it.

    Registered: `received` 受理, of them `filed` 立案, `returned` 退单 at least once, `repeats` 重复.
    Due: `due` 应结案, of them `closed` 结案 by the end of the period, `closed_in_time` 按期结案 (no limit of the unit
    ever ran out), `late` (one did, closed or not), `extended` 延期, `reworked` 返工, `solved_at_once` (closed without
    rework or reopening), `rated` by the reporter, of these `satisfied` 满意 and `resolved` 解决.
    """

    received: int = 0
    filed: int = 0
    returned: int = 0
    repeats: int = 0
    due: int = 0
    closed: int = 0
    closed_in_time: int = 0
    late: int = 0
    extended: int = 0
    reworked: int = 0
    solved_at_once: int = 0
    rated: int = 0
    satisfied: int = 0
    resolved: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Counts)))


@dataclass(frozen=True)
class Rates:
    """Per cent with two decimals, a half rounded up; None where there is nothing to divide by."""

    closing: Decimal | None
    """结案率: closed / due."""
    closing_in_time: Decimal | None
    """按期结案率: closed in time / due."""
    in_time: Decimal | None
    """按时办结率: (due − late) / due."""
    rework: Decimal | None
    """返工率: reworked / due."""
    extension: Decimal | None
    """延期率: extended / due."""
    solved_at_once: Decimal | None
    """一次解决率: solved at once / closed."""
    satisfaction: Decimal | None
    """满意率: satisfied / rated."""
    resolution: Decimal | None
    """解决率: resolved / rated."""
    filing: Decimal | None
    """立案率: filed / received."""
    returning: Decimal | None
    """退单率: returned / filed."""
    repeating: Decimal | None
    """重复率: repeats / received."""

    @classmethod
    def of(cls, tally: Counts) -> Rates:
        """The rates that follow from the numbers."""
        return cls(
            closing=share(tally.closed, tally.due),
            closing_in_time=share(tally.closed_in_time, tally.due),
            in_time=share(tally.due - tally.late, tally.due),
            rework=share(tally.reworked, tally.due),
            extension=share(tally.extended, tally.due),
            solved_at_once=share(tally.solved_at_once, tally.closed),
            satisfaction=share(tally.satisfied, tally.rated),
            resolution=share(tally.resolved, tally.rated),
            filing=share(tally.filed, tally.received),
            returning=share(tally.returned, tally.filed),
            repeating=share(tally.repeats, tally.received),
        )


def share(part: int, whole: int) -> Decimal | None:
    """The part of the whole in per cent: two decimals, a half rounded up; None of nothing."""
    if whole == 0:
        return None
    return (Decimal(100 * part) / whole).quantize(HUNDREDTH, ROUND_HALF_UP)
