"""Time limits at work: one clock per stage, and what is told while it runs and after it has run out.

A clock counts working time. It is told once that a limit is about to run out, once that it has (blue), and once for
each further level of the ladder. While a case rests its clocks stand still; afterwards everything ahead of them
comes later by the working time the case rested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from shared.clock import to_milliseconds
from shared.contracts.reports import Level, Stage
from shared.workdays import Limit, LimitUnit, WorkCalendar

_MINUTE = timedelta(minutes=1)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Moment:
    """Something to be told at a time (UTC): that a level is reached, or, without a level, that time is short.

    `minutes` of working time have passed by then: of a limit that is running since it began, of one that has run out
    since it did. Rests do not count.
    """

    at: datetime
    level: Level | None
    minutes: int


@dataclass
class Clock:
    """A limit that runs for a stage. `ahead` is what is still to be told, earliest first; `level` what was told last.

    `started_at` is put off by what the clock stood still, so that from there to `due_at` lies the limit's working
    time. `stopped_at` is set while the case rests. A clock that is `held` runs on and tells nothing: more time has
    been asked for, and nobody has decided. `worked` is the working time of the limit, `provisional` whether it ends, or
    one of its levels is reached, when nobody knows yet which days are worked.
    """

    stage: Stage
    started_at: datetime
    due_at: datetime
    ahead: list[Moment] = field(default_factory=list)
    level: Level | None = None
    stopped_at: datetime | None = None
    held: bool = False
    worked: int | None = None
    """Milliseconds; None of a clock that was started before this was kept."""
    provisional: bool = False

    @property
    def next_at(self) -> datetime | None:
        """When somebody has to look again; None while nothing is told, or when all is."""
        return None if self._silent or not self.ahead else self.ahead[0].at

    @property
    def is_short(self) -> bool:
        """Whether it was told that time is short, and it has not run out."""
        return self.level is None and all(moment.level is not None for moment in self.ahead)

    def reached(self, now: datetime) -> list[Moment]:
        """What is to be told by `now`, each once. A warning that comes too late is left out."""
        if self._silent:
            return []
        reached = [moment for moment in self.ahead if moment.at <= now]
        self.ahead = self.ahead[len(reached) :]
        levels = [moment for moment in reached if moment.level]
        return levels or reached

    def stop(self, now: datetime) -> None:
        """Let it stand still."""
        self.stopped_at = now

    def go_on(self, now: datetime, calendar: WorkCalendar) -> None:
        """Let it run again, everything ahead of it put off by the working time it stood."""
        if self.stopped_at is None:
            return
        stood, self.stopped_at = calendar.elapsed(self.stopped_at, now), None
        self.started_at = calendar.forward(self.started_at, stood)
        if self.level is None:
            self.due_at = calendar.forward(self.due_at, stood)
        for moment in self.ahead:
            moment.at = calendar.forward(moment.at, stood)

    @property
    def _silent(self) -> bool:
        return self.held or self.stopped_at is not None


@dataclass(frozen=True)
class Terms:
    """How the district counts and what it allows (办理规则), in one version of the office's file.

    `due_soon` is the share of a limit's working time after which time is short. `orange` and `red` run from the end
    of a limit. `limits` are those of stages whose category says nothing else. `return_within` runs from dispatch,
    `reopen_within` from sign-off. A case within `repeat_metres` of one of its category that was signed off at most
    `repeat_days` ago is a repeat; open ones within `duplicate_metres` are offered before somebody reports again. The
    reporter of a case is asked at most `questions` times: limits stand still meanwhile.
    """

    version: int
    due_soon: Decimal
    orange: str
    red: str
    limits: Mapping[Stage, str]
    return_within: str
    reopen_within: str
    repeat_days: int
    repeat_metres: int
    duplicate_metres: int
    questions: int = 2


@dataclass(frozen=True)
class Timetable:
    """Working time and the district's terms together: what starts clocks."""

    calendar: WorkCalendar
    terms: Terms

    def clock(self, stage: Stage, limit: str, now: datetime) -> Clock:
        """A clock for a stage, from now on."""
        return self._clock(stage, now, self.calendar.add(now, Limit.parse(limit)))

    def until(self, stage: Stage, now: datetime, due_at: datetime) -> Clock:
        """A clock that runs out at a moment somebody named."""
        return self._clock(stage, now, due_at)

    def extended(self, clock: Clock, limit: str, now: datetime) -> Clock:
        """The clock with so much more time, counted from its old end; told anew, but for what is over."""
        longer = self._clock(clock.stage, clock.started_at, self._after(clock.due_at, limit))
        longer.ahead = [moment for moment in longer.ahead if moment.level or moment.at > now]
        return longer

    def recounted(self, clock: Clock) -> Clock:
        """The clock as it runs by what is known now of the days that were guessed or assumed when it was started.

        What it has told stays told; a limit that has run out does not run again.
        """
        if not clock.provisional or clock.worked is None:
            return clock
        due_at = clock.due_at
        if clock.level is None and clock.stage is not Stage.REVIEW:
            due_at = self.calendar.forward(clock.started_at, timedelta(milliseconds=clock.worked))
        anew = self._clock(clock.stage, clock.started_at, due_at)
        untold = {moment.level for moment in clock.ahead}
        ahead = [moment for moment in anew.ahead if moment.level in untold]
        return replace(clock, due_at=due_at, ahead=ahead, worked=anew.worked, provisional=anew.provisional)

    def passed(self, limit: str, since: datetime, now: datetime) -> bool:
        """Whether more than the limit has gone by."""
        return now > self.calendar.add(since, Limit.parse(limit))

    def _clock(self, stage: Stage, now: datetime, due_at: datetime) -> Clock:
        calendar, terms = self.calendar, self.terms
        ahead = [
            Moment(at, level, calendar.elapsed(due_at, at) // _MINUTE)
            for at, level in (
                (due_at, Level.BLUE),
                (self._after(due_at, terms.orange), Level.ORANGE),
                (self._after(due_at, terms.red), Level.RED),
            )
        ]
        worked = calendar.elapsed(now, due_at) // _MILLISECOND
        share = int(worked * terms.due_soon) * _MILLISECOND
        if (soon := to_milliseconds(calendar.forward(now, share))) < due_at and share:
            ahead.insert(0, Moment(soon, None, share // _MINUTE))
        provisional = not calendar.is_certain(max(moment.at for moment in ahead))
        return Clock(stage, now, due_at, ahead, worked=worked, provisional=provisional)

    def _after(self, end: datetime, text: str) -> datetime:
        """The end of a limit that follows upon another: where that ends as the offices close, its day is over."""
        limit = Limit.parse(text)
        follows = limit.unit is LimitUnit.WORKING_DAYS
        return self.calendar.add(end - _MILLISECOND if follows else end, limit)
