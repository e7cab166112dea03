"""A reporter's feedback (上报人意见) on a case: more, a rating, that it is not in order, that it is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.datastructures import FormData, UploadFile

from services.portal.forms.reading import Faults, kept_of, key_of, new_key, photo_fault, text_of

UPDATE, RATE, OBJECT, WITHDRAW = ACTIONS = ("update", "rate", "object", "withdraw")
"""As the reports service names them, and the forms' addresses."""
_ANSWERS = {"yes": True, "no": False}


@dataclass(frozen=True)
class Feedback:
    """One of the forms as typed. `kept` are photos that the reports service has already."""

    action: str
    key: str = field(default_factory=new_key)
    text: str = ""
    resolved: bool | None = None
    satisfied: bool | None = None
    kept: tuple[str, ...] = ()

    @classmethod
    def read(cls, action: str, form: FormData) -> Feedback:
        """What was typed; `action` is one of ACTIONS."""
        return cls(
            action=action,
            key=key_of(form),
            text=text_of(form, "text"),
            resolved=_ANSWERS.get(text_of(form, "resolved")),
            satisfied=_ANSWERS.get(text_of(form, "satisfied")),
            kept=kept_of(form),
        )

    def again(self, kept: Sequence[str]) -> Feedback:
        """The form to be corrected: what was refused has not happened, so the next try is a new request."""
        return replace(self, key=new_key(), kept=tuple(kept))

    def with_photos(self, kept: Sequence[str]) -> Feedback:
        """The same form after its photos have been handed in."""
        return replace(self, kept=tuple(kept))

    def faults(self, photos: Sequence[UploadFile]) -> Faults:
        """What can be seen here already; everything else is the reports service's to say."""
        pictures = bool(photos or self.kept)
        if fault := photo_fault(photos, self.kept):
            return {"photos": fault}
        if self.action == OBJECT and not pictures:
            return {"photos": "fault-objection-photo"}
        if self.action == UPDATE and not (self.text or pictures):
            return {"text": "fault-update-empty"}
        if self.action == RATE and (self.resolved is None or self.satisfied is None):
            return {"": "fault-rating"}
        return {}

    def body(self, code: str) -> dict[str, Any]:
        """The body of `POST /tracking/<action>`."""
        if self.action == RATE:
            return {"code": code, "resolved": self.resolved, "satisfied": self.satisfied}
        if self.action == WITHDRAW:
            return {"code": code, "reason": self.text}
        return {"code": code, "text": self.text, "photos": list(self.kept)}
