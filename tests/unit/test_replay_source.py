"""Rows of the city's file: what is read, and what is skipped by its line."""

from __future__ import annotations

from datetime import datetime

import pytest

from deploy.replay.source import COLUMNS, LOS_ANGELES, NotARequestFile, Request, Skipped, read_requests

HEADER = "SRNumber," + ",".join(COLUMNS)
GOOD = "1-1,01/02/2018 01:00:15 PM,01/03/2018 12:00:00 AM,Bulky Items,Closed,Call,A0001,34.05,-118.25,VENICE NC"


def read(*rows: str) -> list[Request | Skipped]:
    return list(read_requests([f"{row}\n" for row in (HEADER, *rows)]))


def test_a_row_is_read_with_its_line() -> None:
    assert read(GOOD) == [
        Request(
            line=2,
            created=datetime(2018, 1, 2, 13, 0, 15, tzinfo=LOS_ANGELES),
            closed=datetime(2018, 1, 3, tzinfo=LOS_ANGELES),
            kind="Bulky Items",
            status="Closed",
            channel="Call",
            address="A0001",
            neighbourhood="VENICE NC",
            spot=(-118.25, 34.05),
        )
    ]


def test_what_the_city_leaves_open() -> None:
    (row,) = read("1-1,01/02/2018 01:00:15 PM,,Bulky Items,Open,Call,A0001,,,")
    assert isinstance(row, Request)
    assert (row.closed, row.spot, row.neighbourhood) == (None, None, "")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD.replace("01:00:15 PM", "25:00"), "does not match format"),
        (GOOD.replace("01/03/2018", "01/01/2018"), "closed before it was created"),
        (GOOD.replace("34.05", "north"), "could not convert"),
        (GOOD.replace("34.05", "nan"), "not a place"),
        (GOOD.replace("34.05", ""), "could not convert"),
        (GOOD + ",more", "as many fields"),
        ("1-1,01/02/2018 01:00:15 PM", "as many fields"),
        (GOOD.replace("Bulky", "B" * 200_000), "field limit"),
    ],
)
def test_a_row_that_cannot_be_read_is_skipped_and_the_next_is_read(row: str, reason: str) -> None:
    skipped, following = read(row, GOOD)
    assert isinstance(skipped, Skipped)
    assert skipped.line == 2
    assert reason in skipped.reason
    assert isinstance(following, Request)
    assert following.line == 3


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(NotARequestFile, match="ClosedDate"):
        list(read_requests(["a,b\n", "1,2\n"]))
    with pytest.raises(NotARequestFile):
        list(read_requests([]))
