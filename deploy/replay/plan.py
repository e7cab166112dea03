"""What is to happen when: rows of a foreign city become timed acts in the district. Pure; no network, no clock."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy.replay.source import Request, Skipped
from shared.clock import CHINA
from shared.geo import Grid, Point
from shared.workdays import WorkCalendar


class Act(StrEnum):
    """What happens to a case after it was reported."""

    ACKNOWLEDGE = "acknowledge"
    REPLY = "reply"
    VERIFY = "verify"
    CLOSE = "close"


@dataclass(frozen=True)
class Step:
    """An act, so long after the midnight that the day begins with."""

    at: timedelta
    act: Act


@dataclass(frozen=True)
class PlannedCase:
    """A problem to report and what becomes of it; `outcome` is what the unit replies."""

    line: int
    at: timedelta
    category: str
    channel: str
    point: Point
    text: str
    outcome: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """One day's cases by the time they come in, until `horizon` after its midnight, and what is left out."""

    day: date
    horizon: timedelta
    cases: tuple[PlannedCase, ...]
    skipped: tuple[Skipped, ...]
    other_days: int


@dataclass(frozen=True)
class Neighbourhood:
    """The community that stands for a foreign neighbourhood; `box` is its own west, south, east, north."""

    community: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Translation:
    """How the foreign city's types, channels and neighbourhoods read here, and how fast replies are checked."""

    types: Mapping[str, str]
    channels: Mapping[str, str]
    neighbourhoods: Mapping[str, Neighbourhood]
    verify_after: timedelta
    close_after: timedelta

    @classmethod
    def from_file(cls, path: Path) -> Translation:
        """The committed table (`deploy/sample/replay/mapping.json` shows the form)."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            types=found["types"],
            channels=found["channels"],
            neighbourhoods={
                name: Neighbourhood(here["community"], tuple(here["box"]))
                for name, here in found["neighbourhoods"].items()
            },
            verify_after=timedelta(minutes=found["verify_after_minutes"]),
            close_after=timedelta(minutes=found["close_after_minutes"]),
        )


class Places:
    """Moves spots of the foreign city into the district: the same row always to the same point.

    A neighbourhood keeps its shape inside its community. Where the city published no spot or no known
    neighbourhood, the address decides, so that repeats at one address stay together.
    """

    # Points stay off the edge of a community, where rounding could move them into the next one.
    _MARGIN = 0.02
    _TRIES = 1_000

    def __init__(self, neighbourhoods: Mapping[str, Neighbourhood], communities: Mapping[str, Any]) -> None:
        self._neighbourhoods = neighbourhoods
        self._grid = Grid.from_geojson(communities)
        self._boxes: dict[str, tuple[float, float, float, float]] = {
            feature["properties"]["code"]: _box(feature["geometry"]["coordinates"])
            for feature in communities["features"]
        }

    def point(self, request: Request) -> Point:
        """A point in the community that stands for the request's neighbourhood.

        Raises LookupError when the community is not on the map or too thin to hit.
        """
        home = self._neighbourhoods.get(request.neighbourhood)
        community = home.community if home else self._any_community(request.address)
        west, south, east, north = self._boxes[community]
        for x, y in self._fractions(request, home):
            point = Point(self._between(west, east, x), self._between(south, north, y))
            if self._grid.locate(point) == community:
                return point
        raise LookupError(f"no point found in community {community}")

    def _between(self, low: float, high: float, fraction: float) -> float:
        return round(low + (self._MARGIN + (1 - 2 * self._MARGIN) * fraction) * (high - low), 6)

    def _any_community(self, address: str) -> str:
        codes = sorted(self._boxes)
        return codes[int(_fraction(address, "community") * len(codes))]

    def _fractions(self, request: Request, home: Neighbourhood | None) -> Iterator[tuple[float, float]]:
        if home and request.spot:
            west, south, east, north = home.box
            longitude, latitude = request.spot
            yield _share(longitude, west, east), _share(latitude, south, north)
        for attempt in range(self._TRIES):
            yield _fraction(request.address, f"x{attempt}"), _fraction(request.address, f"y{attempt}")


def make_plan(
    rows: Iterable[Request | Skipped],
    translation: Translation,
    places: Places,
    *,
    horizon: timedelta,
    day: date | None = None,
    every: int = 1,
) -> Plan:
    """The plan of one day (the fullest of the file unless `day` says which), with each `every`-th of its rows.

    A case is acknowledged and answered when the data say it was closed, then verified and signed off at the
    translation's pace; what would come after `horizon` does not happen: late, or never answered.
    """
    requests: list[Request] = []
    skipped: list[Skipped] = []
    for row in rows:
        if isinstance(row, Skipped):
            skipped.append(row)
        elif fault := _fault(row, translation):
            skipped.append(Skipped(row.line, fault))
        else:
            requests.append(row)
    days = Counter(request.created.date() for request in requests)
    day = day or max(days, key=lambda one: (days[one], one), default=date.min)
    of_the_day = sorted(
        (request for request in requests if request.created.date() == day),
        key=lambda request: (request.created, request.line),
    )
    cases = (_planned(request, translation, places, horizon) for request in of_the_day[::every])
    return Plan(
        day=day,
        horizon=horizon,
        cases=tuple(case for case in cases if case.at < horizon),
        skipped=tuple(skipped),
        other_days=len(requests) - len(of_the_day),
    )


def next_start(now: datetime, day: date, calendar: WorkCalendar) -> datetime:
    """Where the replayed day begins here: midnight (Asia/Shanghai) of a working day after `now`.

    It is the same day of the week, so that weekends fall alike; a Saturday or Sunday is replayed on the next
    working day whatever it is. Raises shared.workdays.CalendarEnds past the known years.
    """
    candidate = now.astimezone(CHINA).date()
    while True:
        candidate += timedelta(days=1)
        fits = day.weekday() >= 5 or candidate.weekday() == day.weekday()
        if fits and calendar.is_workday(candidate):
            return datetime.combine(candidate, time(), CHINA)


def _fault(request: Request, translation: Translation) -> str | None:
    if request.kind not in translation.types:
        return f"type without a category here: {request.kind!r}"
    if request.channel not in translation.channels:
        return f"channel unknown here: {request.channel!r}"
    return None


def _planned(request: Request, translation: Translation, places: Places, horizon: timedelta) -> PlannedCase:
    midnight = datetime.combine(request.created.date(), time(), request.created.tzinfo)
    steps: list[Step] = []
    if request.closed:
        answered = request.closed - midnight
        verified = answered + translation.verify_after
        steps = [
            Step(answered, Act.ACKNOWLEDGE),
            Step(answered, Act.REPLY),
            Step(verified, Act.VERIFY),
            Step(verified + translation.close_after, Act.CLOSE),
        ]
    return PlannedCase(
        line=request.line,
        at=request.created - midnight,
        category=translation.types[request.kind],
        channel=translation.channels[request.channel],
        point=places.point(request),
        text=f"重放示例：{_plain(request.kind)}",
        outcome=f"重放示例：原件状态为 {_plain(request.status)}",
        steps=tuple(step for step in steps if step.at < horizon),
    )


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isprintable() and character not in "<>")[:80]


def _share(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _fraction(text: str, salt: str) -> float:
    digest = hashlib.sha256(f"{salt}\0{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _box(coordinates: Any) -> tuple[float, float, float, float]:
    positions = list(_positions(coordinates))
    longitudes = [longitude for longitude, _ in positions]
    latitudes = [latitude for _, latitude in positions]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from _positions(part)
