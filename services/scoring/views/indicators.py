"""Which indicators there are: the one place that is asked."""

from __future__ import annotations

from datetime import datetime

from services.scoring.repo import CURRENT, SCHEME_TREES, TIMELINES
from shared.store import Store


async def indicator_codes(store: Store, moment: datetime) -> frozenset[str]:
    """Codes of the indicators (测评内容) of the scheme in force at that moment; none where none is."""
    timeline = await store.get(TIMELINES, CURRENT)
    version = timeline.in_force(moment) if timeline else None
    found = await store.get(SCHEME_TREES, str(version)) if version is not None else None
    return frozenset(content.code for category in (found.tree if found else ()) for content in category.contents)
