"""What staff and units read of measures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from services.scoring.domain.ladder import Ladder
from services.scoring.domain.measures import Measure
from services.scoring.repo import MEASURES
from shared.auth import Principal
from shared.contracts.scoring import MeasureState
from shared.errors import NotFound
from shared.paging import Key, Order
from shared.roles import OVERSIGHT
from shared.store import Store
from shared.store.collection import Filter

_NEWEST = Order("measures", Key("issued_at", datetime, descending=True), Key("_id", str, descending=True))
PAGE_LIMIT = 200


class MeasureView(BaseModel):
    """A measure as it stands. Of the unit's people it is told who acted (by subject), of the office's it is not."""

    measure: str
    number: str
    rung: str
    name: str
    unit: str
    cause: str
    case: str | None
    period: str | None
    basis: str
    state: MeasureState
    issued_at: datetime
    due_at: datetime
    received_at: datetime | None
    received_by: str
    replied_at: datetime | None
    replied_by: str
    reply: str
    climbed_at: datetime | None
    held_until: datetime | None
    hold_reason: str
    ended_at: datetime | None
    end_reason: str

    @classmethod
    def of(cls, measure: Measure) -> MeasureView:
        """The measure without its paper."""
        wanted = {name: getattr(measure, name) for name in cls.model_fields if hasattr(measure, name)}
        cause = measure.cause
        return cls.model_validate(
            wanted | {"measure": measure.id, "cause": cause.id, "case": cause.case, "period": cause.period}
        )


class MeasurePage(BaseModel):
    """Some measures, newest first; `next` is the cursor of the following page, if there is one."""

    measures: list[MeasureView]
    next: str | None = None


class RungFigures(BaseModel):
    """How the measures of one rung went.

    `open` are owed an answer, held back ones included; `late` those of them whose limit is over; `climbed` led to the
    next rung because nobody answered.
    """

    rung: str
    issued: int
    received: int
    replied: int
    open: int
    late: int
    climbed: int
    held: int
    ended: int


class MeasureFigures(BaseModel):
    """The figures of each rung that was ever taken, from the lowest."""

    rungs: list[RungFigures]


@dataclass(frozen=True)
class MeasureFilter:
    """What is asked for; None: whatever it is."""

    unit: str | None = None
    rung: str | None = None
    state: MeasureState | None = None
    case: str | None = None

    def filter(self, scope: Filter) -> Filter:
        """What of it lies in the caller's scope."""
        fields = {"unit": self.unit, "rung": self.rung, "state": self.state, "cause.case": self.case}
        return {"$and": [scope, {name: value for name, value in fields.items() if value is not None}]}


async def measure_page(
    store: Store, scope: Filter, wanted: MeasureFilter, after: str | None, limit: int
) -> MeasurePage:
    """A page of the measures in the scope. Raises Invalid (cursor-malformed)."""
    page = await _NEWEST.walk(store, MEASURES, wanted.filter(scope), after, limit)
    return MeasurePage(measures=[MeasureView.of(each) for each in page.items], next=page.next)


async def measure_figures(store: Store, ladder: Ladder, scope: Filter, now: datetime) -> MeasureFigures:
    """The figures of the measures in the scope, as they stand."""
    over, held = ({"$eq": ["$state", state.value]} for state in (MeasureState.ENDED, MeasureState.HELD))
    answered = {"$gt": ["$replied_at", None]}
    owed = {"$not": [{"$or": [over, answered]}]}
    counted = {
        "received": {"$gt": ["$received_at", None]},
        "replied": answered,
        "open": owed,
        "late": {"$and": [owed, {"$not": [held]}, {"$lt": ["$due_at", now]}]},
        "climbed": {"$gt": ["$climbed_at", None]},
        "held": held,
        "ended": over,
    }
    sums = {name: {"$sum": {"$cond": [condition, 1, 0]}} for name, condition in counted.items()}
    found = await store.aggregate(
        MEASURES, [{"$match": scope}, {"$group": {"_id": "$rung", "issued": {"$sum": 1}, **sums}}]
    )
    rungs = [RungFigures.model_validate({"rung": each["_id"], **each}) for each in found]
    return MeasureFigures(rungs=sorted(rungs, key=lambda each: (ladder.place(each.rung), each.rung)))


async def measure_for(store: Store, id: str, caller: Principal) -> Measure:
    """One measure, for staff and the unit it was issued to. Raises NotFound (`measures-not-found`)."""
    measure = await store.get(MEASURES, id)
    if measure is None or not (caller.has(*OVERSIGHT) or caller.unit == measure.unit):
        raise NotFound("measures-not-found", id=id)
    return measure
