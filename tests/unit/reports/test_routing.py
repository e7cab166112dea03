"""The closest rule decides, and a district with a last resort leaves no case nowhere."""

from __future__ import annotations

import pytest

from services.reports.domain import ANY, Route, Router, Routing, Why

ROUTER = Router(
    [
        Route("rubbish", "c1", "village"),
        Route("rubbish", ANY, "sanitation"),
        Route("other", ANY, None),
        Route("other", "c1", "village"),
        Route(ANY, "c1", "village"),
        Route(ANY, "c2", "community"),
        Route(ANY, ANY, "subdistrict"),
    ]
)


@pytest.mark.parametrize(
    ("category", "community", "routing"),
    [
        ("rubbish", "c1", Routing("village", Why.EXACT)),
        ("rubbish", "c2", Routing("sanitation", Why.CATEGORY)),
        ("rubbish", "", Routing("sanitation", Why.CATEGORY)),
        ("noise", "c2", Routing("community", Why.COMMUNITY)),
        ("noise", "c3", Routing("subdistrict", Why.DISTRICT)),
        ("noise", "", Routing("subdistrict", Why.DISTRICT)),
        ("other", "c2", Routing(None, Why.TRIAGE)),
        ("other", "c1", Routing("village", Why.EXACT)),
    ],
)
def test_the_closest_row_wins(category: str, community: str, routing: Routing) -> None:
    assert ROUTER.route(category, community) == routing


def test_without_a_last_resort_the_office_is_asked() -> None:
    assert Router([]).route("rubbish", "c1") == Routing(None, Why.NO_RULE)


def test_two_rows_for_one_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="rubbish"):
        Router([Route("rubbish", ANY, "a"), Route("rubbish", ANY, "b")])
