"""Where a page of things in time ended, as an address can carry it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shared.store.collection import Filter

_CURSOR = re.compile(r"([0-9]{1,14})-(.{1,100})")
"""Milliseconds since 1970, up to the year 5138, and an identity."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def after(cursor: str, moment: str) -> Filter:
    """What comes after the cursor, newest first by the field `moment`; everything, for what is no cursor."""
    if not (parts := _CURSOR.fullmatch(cursor)):
        return {}
    at = _EPOCH + timedelta(milliseconds=int(parts[1]))
    return {"$or": [{moment: {"$lt": at}}, {moment: at, "_id": {"$lt": parts[2]}}]}


def cursor_at(moment: datetime, id: str) -> str:
    """The cursor of what happened at the moment."""
    return f"{(moment - _EPOCH) // timedelta(milliseconds=1)}-{id}"
