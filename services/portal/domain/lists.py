"""Red and black lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.scoring import ListItem, ListKind


@dataclass
class ListView:
    """A red or black list that is or was public; `items` of one that was withdrawn are none.

    `issuer` is a code of the supervision groups, `period` a month (`YYYY-MM`, Asia/Shanghai).
    """

    id: str
    number: str
    kind: ListKind
    period: str
    issuer: str
    published_at: datetime
    items: tuple[ListItem, ...] = ()
    withdrawn_at: datetime | None = None
