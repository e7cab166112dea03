"""What a list is asked for, and the walk along an index that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.reports.domain import lookup as by
from services.reports.domain.transitions import STAGES
from shared.auth import Principal
from shared.contracts.event_model import OpenEnum
from shared.contracts.reports import CaseState, Channel, Kind, Level, Stage
from shared.roles import STAFF
from shared.store.collection import Filter

E = TypeVar("E", bound=OpenEnum)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATES: list[CaseState] = [state for state in CaseState if state is not CaseState.OTHER]
LEVELS = [level for level in Level if level is not Level.OTHER]
_STATES_OF: dict[Stage, list[CaseState]] = {
    stage: [state for state in STATES if STAGES.get(state) is stage] for stage in Stage if stage in STAGES.values()
} | {Stage.SITE_CHECK: [CaseState.REGISTERED]}
"""In which states a case waits for what a stage is about."""
_WAITING = [state for state in STATES if state in STAGES]


def _among(offered: Iterable[OpenEnum]) -> AfterValidator:
    """What nobody offers is refused here, while readers of events take it for `other`."""
    values = [each.value for each in offered]

    def check(value: E) -> E:
        if value.value not in values:
            raise PydanticCustomError("enum", "not one of {expected}", {"expected": ", ".join(values)})
        return value

    return AfterValidator(check)


def _offers(offered: Iterable[OpenEnum]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": [each.value for each in offered]})


CHANNELS = [channel for channel in Channel if channel is not Channel.OTHER]
KINDS = [kind for kind in Kind if kind is not Kind.OTHER]
AskedState = Annotated[CaseState, _among(STATES), _offers(STATES)]
AskedStage = Annotated[Stage, _among(_STATES_OF), _offers(_STATES_OF)]
AskedLevel = Annotated[Level, _among(LEVELS), _offers(LEVELS)]
AskedChannel = Annotated[Channel, _among(CHANNELS), _offers(CHANNELS)]
AskedKind = Annotated[Kind, _among(KINDS), _offers(KINDS)]
Code = Annotated[str, Field(max_length=100)]
Several: Any = Field(default=[], max_length=20)


class Sorting(StrEnum):
    """Newest first, or what is due first first: then only cases that wait for somebody by a time."""

    NEWEST = "newest"
    DEADLINE = "deadline"


class CaseFilter(BaseModel):
    """Which cases are asked for; of several values of a filter any will do, and all filters hold.

    `unit` leads or helps. The deadline is that of what the case waits for; for a suspended one it is the day of its
    review. `overdue`: it was told that a limit ran out; `due_soon`: that time is short. `objected`: the reporter has
    said that it is not in order. `text`: words of the report or the address, two characters each at least, or the
    case's number. `_after` means from then on, `_before` earlier than that.
    """

    model_config = ConfigDict(extra="forbid")

    state: list[AskedState] = Several
    unit: Code | None = None
    category: list[Code] = Several
    community: list[Code] = Several
    channel: list[AskedChannel] = Several
    kind: AskedKind | None = None
    stage: list[AskedStage] = Several
    level: list[AskedLevel] = Several
    overdue: bool = False
    due_soon: bool = False
    due_after: AwareDatetime | None = None
    due_before: AwareDatetime | None = None
    registered_after: AwareDatetime | None = None
    registered_before: AwareDatetime | None = None
    objected: bool = False
    repeat: bool = False
    text: Annotated[str, Field(max_length=30)] = ""

    def filter(self, caller: Principal, order: Sorting) -> Filter:
        """What the store is asked. Raises what `sought_words` raises."""
        return {"$and": [*self._walk(caller, order), *self._conditions(), *self._foreign(caller)]}

    def _walk(self, caller: Principal, order: Sorting) -> Iterator[Filter]:
        """The lists to go through in order: the shortest of those that have every case asked for."""
        unit = self.unit if caller.has(*STAFF) else caller.unit or ""
        if order is Sorting.DEADLINE:
            yield _any("duties", self._duties(unit))
            yield {"stage_due_at": {"$gt": EPOCH}}
        elif not self.text or unit is not None:
            yield from (_any("lists", lists) for lists in self._lists(unit))
        if self.text:
            yield _having(by.sought_words(self.text))

    def _duties(self, unit: str | None) -> list[str]:
        if self.level or self.overdue:
            return [by.at_level(unit, level) for level in self.level or LEVELS]
        if self.due_soon:
            return [by.due_soon(unit)]
        if self.stage or self.state:
            stages = self.stage or [stage for stage, states in _STATES_OF.items() if {*states} & {*self.state}]
            return [by.duty(unit, stage) for stage in stages]
        if self.category and unit is None:
            return [by.duty_about(code) for code in self.category]
        return [by.duty(unit)]

    def _lists(self, unit: str | None) -> list[list[str]]:
        """Lists of which any have a case; where nobody can tell which way is the shorter one, both."""
        if self.objected:
            return [[by.objected(unit)]]
        if self.level or self.overdue:
            return [[by.at_level(unit, level) for level in self.level or LEVELS]]
        if self.due_soon:
            return [[by.due_soon(unit)]]
        states = self._states()
        short = bool(states) and CaseState.CLOSED not in states
        if self.category and not short:
            return [[by.of_category(unit, code) for code in self.category]]
        if unit is None and not short and (long := self._long_lists()):
            return long
        return [[by.in_state(unit, state) for state in states or STATES]]

    def _long_lists(self) -> list[list[str]]:
        if self.kind not in {None, Kind.PROBLEM}:
            return [[by.of_kind(self.kind)]]
        places, channels = map(by.of_community, self.community), map(by.through, self.channel)
        return [way for way in ([*places], [*channels]) if way] or ([[by.REPEATS]] if self.repeat else [])

    def _states(self) -> list[CaseState]:
        """The states that the filters leave; none where they leave all."""
        waiting = [state for stage in self.stage for state in _STATES_OF[stage]]
        if not waiting and (self.due_after or self.due_before):
            waiting = _WAITING
        if not waiting or not self.state:
            return list(dict.fromkeys(waiting or self.state))
        return [state for state in self.state if state in waiting] or waiting

    def _conditions(self) -> Iterator[Filter]:
        yield from (
            _any(field, values)
            for field, values in (
                ("state", self.state),
                ("category", self.category),
                ("place.community", self.community),
                ("channel", self.channel),
                ("kind", [self.kind] if self.kind else []),
                ("stage", self.stage),
                ("level", self.level),
            )
            if values
        )
        yield from _within("stage_due_at", self.due_after, self.due_before)
        yield from _within("registered_at", self.registered_after, self.registered_before)
        if self.overdue:
            yield {"level": {"$gt": ""}}
        if self.due_soon:
            yield {"due_soon": True}
        if self.objected:
            yield {"objections": {"$gt": 0}}
        if self.repeat:
            yield {"repeat_of": {"$gt": ""}}

    def _foreign(self, caller: Principal) -> Iterator[Filter]:
        """Somebody of one unit who asks for another sees what both have a part in."""
        if self.unit is not None and not caller.has(*STAFF) and self.unit != caller.unit:
            yield {"$or": [{"unit": self.unit}, {"supporting": self.unit}]}


def _having(words: Sequence[str]) -> Filter:
    """Cases that have all of the words. A number is rarer than any word: its list is gone through, and the others are
    asked of each case on it; otherwise the database finds out which of the words is rarest.
    """
    rare = next((word for word in words if any(each.isdigit() for each in word)), None)
    if rare is None:
        return {"words": {"$all": list(words)}}
    return {"words": rare, "$expr": {"$setIsSubset": [list(words), "$words"]}}


def _any(field: str, values: Sequence[Any]) -> Filter:
    return {field: values[0] if len(values) == 1 else {"$in": list(values)}}


def _within(field: str, after: datetime | None, before: datetime | None) -> Iterator[Filter]:
    if after is not None:
        yield {field: {"$gte": after}}
    if before is not None:
        yield {field: {"$lt": before}}
