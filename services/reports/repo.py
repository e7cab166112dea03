"""Where cases are kept and how they are looked up."""

from __future__ import annotations

from services.reports.domain import Case
from shared.store import Collection, Index

CASES = Collection(
    "cases",
    Case,
    [
        Index((("deadline_at", 1),)),
        Index((("unit", 1), ("state", 1), ("_id", -1))),
        Index((("state", 1), ("_id", -1))),
    ],
)
