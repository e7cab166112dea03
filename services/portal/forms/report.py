"""The report form: what was typed, what is missing in it, and how it goes to the reports service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.datastructures import FormData, UploadFile

from services.portal.district import District
from services.portal.district.catalogue import SEVERAL, Catalogue, Category, Question
from services.portal.forms.reading import ANSWER, Faults, kept_of, key_of, new_key, photo_fault, text_of, whole
from shared.contracts.reports import Kind

_TYPED = ("category", "community", "longitude", "latitude", "address", "text", "name", "phone", "asked", "same")


@dataclass(frozen=True)
class Report:
    """The form as typed. `kept` are photos that the reports service has already.

    `answers` are by the code of a question, and `asked` is the category whose questions were before the reporter's
    eyes. `same` is the case on file that tells of the same problem, `alone`: the reporter has said that none does.
    """

    key: str = field(default_factory=new_key)
    kind: Kind = Kind.PROBLEM
    category: str = ""
    community: str = ""
    longitude: str = ""
    latitude: str = ""
    address: str = ""
    text: str = ""
    name: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    may_call: bool = False
    may_publish: bool = True
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    asked: str = ""
    same: str = ""
    alone: bool = False
    kept: tuple[str, ...] = ()

    @classmethod
    def read(cls, form: FormData) -> Report:
        """What was typed; a malformed key or photo identity is not taken over."""
        return cls(
            key=key_of(form),
            kind=Kind.PRAISE if text_of(form, "kind") == Kind.PRAISE else Kind.PROBLEM,
            may_call="may_call" in form,
            may_publish="may_publish" in form,
            answers=_answers(form),
            alone="alone" in form,
            kept=kept_of(form),
            **{name: text_of(form, name) for name in _TYPED},
        )

    def again(self, kept: Sequence[str]) -> Report:
        """The form to be corrected: what was refused is not on file, so the next try is a new report."""
        return replace(self, key=new_key(), kept=tuple(kept), same="")

    def with_photos(self, kept: Sequence[str]) -> Report:
        """The same report after its photos have been handed in."""
        return replace(self, kept=tuple(kept))

    def faults(self, photos: Sequence[UploadFile], district: District, catalogue: Catalogue) -> Faults:
        """What can be seen here already; everything else is the reports service's to say."""
        found: Faults = {}
        category = catalogue.open(self.category)
        if category is None:
            found["category"] = "fault-category"
        if self.spot(district) is None:
            found["place"] = "fault-place"
        if fault := photo_fault(photos, self.kept):
            found["photos"] = fault
        elif self._needs_photo(category) and not (photos or self.kept):
            found["photos"] = "fault-photo-required"
        if self.asked == self.category:
            missing = (each for each in self.questions(catalogue) if each.required and not self.answers.get(each.code))
            found.update({f"{ANSWER}{question.code}": "fault-answer" for question in missing})
        return found

    def questions(self, catalogue: Catalogue) -> tuple[Question, ...]:
        """What is asked about this report; nothing about praise."""
        category = catalogue.open(self.category)
        return category.questions if category is not None and self.kind is Kind.PROBLEM else ()

    def has_seen_questions(self, catalogue: Catalogue) -> bool:
        """Whether there was nothing to ask, or it was asked."""
        return self.asked == self.category or not self.questions(catalogue)

    def spot(self, district: District) -> tuple[float, float] | None:
        """Longitude and latitude (WGS-84): as located, else somewhere in the community that was chosen."""
        if (located := self._located()) is not None:
            return located
        inside = district.map.spot_in(self.community)
        return (inside.longitude, inside.latitude) if inside else None

    def problem(self) -> dict[str, Any] | None:
        """What to look for among the cases on file; None where nothing is to be put right, or nobody knows where."""
        located = self._located()
        if self.kind is not Kind.PROBLEM or located is None:
            return None
        return {
            "category": self.category,
            "longitude": located[0],
            "latitude": located[1],
            "crs": "wgs84",
            "text": self.text,
        }

    def case(self, district: District, catalogue: Catalogue) -> dict[str, Any]:
        """The body of `POST /cases`. Only for a report without faults."""
        spot = self.spot(district)
        if spot is None:
            raise ValueError("a report without a place")
        return {
            "category": self.category,
            "longitude": spot[0],
            "latitude": spot[1],
            "crs": "wgs84",
            "exact": self._located() is not None,
            "address": self.address,
            "text": self.text,
            "channel": "citizen",
            "kind": self.kind.value,
            "answers": dict(self._answers(self.questions(catalogue))),
            "photos": list(self.kept),
            "reporter": self._reporter(),
        }

    def _needs_photo(self, category: Category | None) -> bool:
        return category is not None and category.photo_required and self.kind is Kind.PROBLEM

    def _located(self) -> tuple[float, float] | None:
        longitude, latitude = _degrees(self.longitude), _degrees(self.latitude)
        return None if longitude is None or latitude is None else (longitude, latitude)

    def _answers(self, questions: Sequence[Question]) -> Mapping[str, str | list[str]]:
        """The answers to these questions. Others were not asked, or are not any more."""
        given = {each.code: self.answers[each.code] for each in questions if self.answers.get(each.code)}
        several = {each.code for each in questions if each.kind == SEVERAL}
        return {code: list(answer) if code in several else answer[0] for code, answer in given.items()}

    def _reporter(self) -> dict[str, Any] | None:
        if not (self.name or self.phone) and self.may_publish:
            return None  # who says nothing of themselves is nobody
        return {
            "name": self.name or None,
            "phone": self.phone or None,
            "may_call": self.may_call,
            "may_publish": self.may_publish,
        }


def _answers(form: FormData) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if name.startswith(ANSWER) and isinstance(value, str) and value.strip():
            found.setdefault(whole(name.removeprefix(ANSWER)), []).append(whole(value).strip())
    return {code: tuple(dict.fromkeys(values)) for code, values in found.items()}


def _degrees(typed: str) -> float | None:
    try:
        degrees = float(typed)
    except ValueError:
        return None
    return degrees if -180 <= degrees <= 180 else None
