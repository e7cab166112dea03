"""How a case comes in and is given to a unit: registered, looked at, filed, dispatched, or not taken on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Self

from services.reports.domain.cases.record import Act, CaseRecord, Events, require_few
from services.reports.domain.catalogue import Category
from services.reports.domain.facts import Moderation, Place, checked_place
from services.reports.domain.reporter import Reporter
from services.reports.domain.routing import Routing
from services.reports.domain.words import Command
from services.reports.domain.writing import plain_text
from shared.contracts import reports as events
from shared.contracts.reports import CaseEvent, CaseState, Channel, Kind, ReporterKind, Stage
from shared.errors import Invalid, Refused


class Registration(CaseRecord):
    """From registration to the unit that is to put it right, and what the public is shown of it."""

    @classmethod
    def register(
        cls,
        *,
        id: str,
        category: Category,
        channel: Channel,
        place: Place,
        routing: Routing,
        act: Act,
        kind: Kind = Kind.PROBLEM,
        reporter_kind: ReporterKind = ReporterKind.CITIZEN,
        text: str = "",
        answers: dict[str, str | tuple[str, ...]] | None = None,
        reporter: Reporter | None = None,
        photos: Sequence[str] = (),
        moderation: Moderation = Moderation.APPROVED,
        repeat_of: str | None = None,
        note: str = "",
        tracking: str | None = None,
        middle: tuple[float, float] | None = None,
    ) -> tuple[Self, Events]:
        """A new case; dispatched at once when routing found a unit and nobody has to look first.

        Praise is on file for the unit it is about, costs no points, and nothing more happens to it. `note` stands
        in its history, for those who see the inside. `middle` is that of its community. Raises Invalid:
        too-many-photos, photo-required (citizens, where the category asks for one), and what `plain_text` raises.
        """
        require_few(photos)
        if category.photo_required and channel is Channel.CITIZEN and kind is Kind.PROBLEM and not photos:
            raise Invalid("photo-required", field="photos", category=category.code)
        limits = {stage: limit for stage in Stage if (limit := category.limit_of(stage))}
        praised = kind is Kind.PRAISE
        case = cls(
            id=id,
            state=CaseState.REGISTERED,
            category=category.code,
            category_version=category.version,
            channel=channel,
            place=checked_place(place),
            limits={**act.timetable.terms.limits, **limits},
            points=Decimal(0) if praised else category.points,
            public=category.public,
            registered_at=act.now,
            kind=kind,
            reporter_kind=reporter_kind,
            text=plain_text(text, "text"),
            answers=answers or {},
            reporter=reporter,
            photos=tuple(photos),
            moderation=moderation,
            indicators=category.indicators,
            routing=routing,
            site_check=category.site_check and channel is Channel.CITIZEN and not praised,
            proposed=routing.unit,
            supporting=routing.supporting,
            repeat_of=repeat_of,
            tracking=tracking,
            middle=middle,
        )
        case._note(Command.REGISTER, act, note)
        if praised:
            case.state, case.unit, case.closed_at = CaseState.CLOSED, routing.unit, act.now
        elif case.site_check:
            case._start(Stage.SITE_CHECK, act)
        elif routing.unit is None:
            case._start(Stage.DISPATCH, act)
        else:
            case._give_to(routing.unit, routing.supporting, act.by_itself())
        return case, (case._tell(events.CaseRegistered),)

    def registered(self) -> CaseEvent:
        """What tells of a part that a split has made."""
        return self._tell(events.CaseRegistered)

    def confirm(self, act: Act, *, note: str = "") -> Events:
        """Somebody looked on the spot and found what was reported (核实属实)."""
        act = self._admit(Command.CONFIRM, act)
        note = plain_text(note, "note")
        lapsed = self._lapse(act)
        self.state, self.site_check = CaseState.SITE_VERIFIED, False
        self._end(Stage.SITE_CHECK)
        self._start_dispatch(act)
        self._note(Command.CONFIRM, act, note)
        return (*lapsed, self._tell(events.CaseSiteVerified))

    def file(self, act: Act) -> Events:
        """The centre takes it on (立案); it goes on to the unit that routing found, if it did.

        Raises Refused (site-check-owed) while a citizen's report has not been looked at.
        """
        act = self._admit(Command.FILE, act)
        self._require_checked()
        lapsed = self._lapse(act)
        self._filed(act)
        filed = (*lapsed, self._tell(events.CaseFiled))
        if self.proposed is None:
            return filed
        return (*filed, *self.dispatch(act.by_itself(), self.proposed, supporting=self.supporting))

    def reject(self, act: Act, reason: str) -> Events:
        """The centre does not take it on; the reason is for the reporter to read."""
        act = self._admit(Command.REJECT, act)
        reason = plain_text(reason, "reason", required=True)
        lapsed = self._lapse(act)
        self.state = CaseState.REJECTED
        self.clocks.clear()
        self._note(Command.REJECT, act, reason, public=True)
        return (*lapsed, self._tell(events.CaseRejected))

    def dispatch(self, act: Act, unit: str, *, supporting: Sequence[str] = ()) -> Events:
        """The centre gives the case to a unit, filing it if it was not; the unit's limits start.

        Raises Refused (site-check-owed), Invalid (lead-among-supporting).
        """
        act = self._admit(Command.DISPATCH, act)
        self._require_checked()
        if unit in supporting:
            raise Invalid("lead-among-supporting", field="supporting", unit=unit)
        lapsed = self._lapse(act)
        if self.state in {CaseState.REGISTERED, CaseState.SITE_VERIFIED}:
            self._filed(act)
        self._give_to(unit, tuple(dict.fromkeys(supporting)), act)
        return (*lapsed, self._tell(events.CaseDispatched))

    def withdraw(self, act: Act, reason: str = "") -> Events:
        """The reporter takes it back: as long as nobody has looked it ends here, later the centre decides.

        The reason is for those inside. Raises Refused (withdrawn-already).
        """
        act = self._admit(Command.WITHDRAW, act)
        reason = plain_text(reason, "reason")
        if any(fact.command is Command.WITHDRAW for fact in self.timeline):
            raise Refused("withdrawn-already")
        lapsed = self._lapse(act)
        self._note(Command.WITHDRAW, act, reason)
        if self.state is not CaseState.REGISTERED:
            return lapsed
        self.state = CaseState.REJECTED
        self.clocks.clear()
        return (*lapsed, self._tell(events.CaseRejected))

    def moderate(self, moderation: Moderation, at: datetime | None = None) -> Events:
        """Whether the public may see what was handed in; the caller keeps who decided. Nothing changes: no event.

        `at` is when somebody decided; None: a rule did.
        """
        self.moderated_at = at or self.moderated_at
        if moderation is self.moderation:
            return ()
        self.moderation = moderation
        return (self._tell(events.CaseChanged),)

    def show_photos(self, hidden: Iterable[str]) -> Events:
        """The photos of the case that nobody outside may see. Nothing changes: no event."""
        hidden_photos = tuple(sorted(hidden))
        if hidden_photos == self.hidden_photos:
            return ()
        self.hidden_photos = hidden_photos
        return (self._tell(events.CaseChanged),)

    def _filed(self, act: Act) -> None:
        self.state = CaseState.FILED
        self.filed_at = self.filed_at or act.now
        self._start_dispatch(act)
        self._note(Command.FILE, act)
