"""Cases that belong together: merged into one another, or parts of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from services.reports.domain.cases.record import TALK_LIMIT, Act, CaseRecord, Events
from services.reports.domain.transitions import FINAL
from services.reports.domain.words import STATES_ZH, Command
from shared.contracts import reports as events
from shared.contracts.reports import CaseState
from shared.errors import Invalid, Refused

CHILDREN_LIMIT = 10


class Family(CaseRecord):
    """Cases that tell of one problem, and a problem that is several units'."""

    def merge_into(self, act: Act, other: CaseRecord) -> Events:
        """The two tell of one problem; it is followed there from now on. Both keep their history, linked both ways.

        Raises Refused (merge-into-itself, merge-into-ended, part-of-a-case; merged-has-merged, as a chain would hide
        a case).
        """
        act = self._admit(Command.MERGE, act).after(other)
        if other.id == self.id:
            raise Refused("merge-into-itself")
        if other.state in FINAL:
            raise Refused("merge-into-ended", state=other.state.value, state_zh=STATES_ZH[other.state])
        self._require_whole()
        if self.merged:
            raise Refused("merged-has-merged", cases=", ".join(self.merged))
        other._require_room(TALK_LIMIT)
        lapsed = self._rest(CaseState.MERGED, act)
        self.merged_into, other.merged = other.id, (*other.merged, self.id)
        self._note(Command.MERGE, act, other.id)
        other._note(Command.MERGE, act, self.id)
        return (*lapsed, self._tell(events.CaseMerged))

    def unmerge(self, act: Act, other: CaseRecord) -> Events:
        """The merge was a mistake: the case goes on by itself, its limits later by the time it rested."""
        act = self._admit(Command.UNMERGE, act).after(other)
        self._go_on(act, act.now)
        self.merged_into = None
        other.merged = tuple(id for id in other.merged if id != self.id)
        self._note(Command.UNMERGE, act, other.id)
        other._note(Command.UNMERGE, act, self.id)
        return (self._tell(events.CaseUnmerged), *self._lapse(act))

    def split(self, act: Act, units: Sequence[str]) -> tuple[list[Self], Events]:
        """A part for each unit, with limits of its own; this case closes when all parts have ended.

        The events are this case's; each part is told by a `CaseRegistered` of its own. Raises Invalid
        (split-needs-units), Refused (part-of-a-case, site-check-owed).
        """
        act = self._admit(Command.SPLIT, act)
        self._require_checked()
        units = tuple(dict.fromkeys(units))
        if not 2 <= len(units) <= CHILDREN_LIMIT:
            raise Invalid("split-needs-units", field="units", least=2, limit=CHILDREN_LIMIT)
        self._require_whole()
        lapsed = self._lapse(act)
        parts = [self._part(f"{self.id}-{number}", unit, act.by_itself()) for number, unit in enumerate(units, 1)]
        self.state, self.unit, self.supporting, self.extension = CaseState.SPLIT, None, units, None
        self.children = self.open_children = tuple(part.id for part in parts)
        self.dispatched_at, self.acknowledged_at = act.now, None
        self.clocks.clear()
        self._note(Command.SPLIT, act, ", ".join(units))
        return parts, (*lapsed, self._tell(events.CaseSplit))

    def child_ended(self, act: Act, child: str) -> Events:
        """A part has ended; the last one closes the case."""
        act = self._admit(Command.CHILD_ENDED, act.by_itself())
        self.open_children = tuple(id for id in self.open_children if id != child)
        self._note(Command.CHILD_ENDED, act, child)
        if self.open_children:
            return ()
        self.state, self.closed_at = CaseState.CLOSED, act.now
        return (self._tell(events.CaseClosed),)

    def child_reopened(self, act: Act, child: str) -> Events:
        """A part is open again, and so is the case if it had been closed."""
        act = self._admit(Command.CHILD_REOPENED, act.by_itself())
        self.open_children = (*(id for id in self.open_children if id != child), child)
        self._note(Command.CHILD_REOPENED, act, child)
        if self.state is CaseState.SPLIT:
            return ()
        self.state, self.closed_at, self.objected_at = CaseState.SPLIT, None, None
        self.reopens += 1
        return (self._tell(events.CaseReopened),)

    def _part(self, id: str, unit: str, act: Act) -> Self:
        part = type(self)(
            id=id,
            state=CaseState.REGISTERED,
            category=self.category,
            category_version=self.category_version,
            channel=self.channel,
            place=self.place,
            limits=dict(self.limits),
            points=self.points,
            public=self.public,
            registered_at=act.now,
            kind=self.kind,
            reporter_kind=self.reporter_kind,
            text=self.text,
            answers=dict(self.answers),
            photos=self.photos,
            hidden_photos=self.hidden_photos,
            moderation=self.moderation,
            indicators=self.indicators,
            proposed=unit,
            parent=self.id,
            middle=self.middle,
        )
        part._note(Command.REGISTER, act, self.id)
        part._give_to(unit, (), act)
        part._settle()
        return part
