"""What a reporter has to say about a case: what is missing in it, and how it goes on."""

from __future__ import annotations

from io import BytesIO

import pytest
from starlette.datastructures import FormData, Headers, UploadFile

from services.portal.forms import PHOTO_BYTES, Feedback

KEY = "0123456789abcdef0123456789abcdef"
CODE = "7Q3-KX0-M4T-ZA9-2RC-5NE"


def upload(size: int = 10) -> UploadFile:
    return UploadFile(BytesIO(b""), size=size, filename="photo.jpg", headers=Headers({"content-type": "image/jpeg"}))


def filled(action: str, **typed: str) -> Feedback:
    return Feedback.read(action, FormData({"key": KEY, **typed}))


def test_each_form_says_what_its_address_takes() -> None:
    pictures = filled("update", text=" 在北门 ").with_photos(["one"])
    assert pictures.body(CODE) == {"code": CODE, "text": "在北门", "photos": ["one"]}
    assert filled("object", text="只清了一半", kept="two").body(CODE) == {
        "code": CODE,
        "text": "只清了一半",
        "photos": ["two"],
    }
    assert filled("rate", resolved="yes", satisfied="no").body(CODE) == {
        "code": CODE,
        "resolved": True,
        "satisfied": False,
    }
    assert filled("withdraw", text="已经好了").body(CODE) == {"code": CODE, "reason": "已经好了"}


@pytest.mark.parametrize(
    ("action", "typed", "photos", "faults"),
    [
        ("update", {}, [], {"text": "fault-update-empty"}),
        ("update", {"text": "在北门"}, [], {}),
        ("update", {}, [upload()], {}),
        ("update", {"kept": "one"}, [], {}),
        ("update", {"kept": "one"}, [upload()] * 3, {"photos": "fault-photos-many"}),
        ("update", {}, [upload(PHOTO_BYTES + 1)], {"photos": "fault-photo-large"}),
        ("object", {"text": "只清了一半"}, [], {"photos": "fault-objection-photo"}),
        ("object", {}, [upload()], {}),
        ("rate", {"resolved": "yes"}, [], {"": "fault-rating"}),
        ("rate", {"resolved": "maybe", "satisfied": "no"}, [], {"": "fault-rating"}),
        ("rate", {"resolved": "no", "satisfied": "no"}, [], {}),
        ("withdraw", {}, [], {}),
    ],
)
def test_what_is_missing_is_told(
    action: str, typed: dict[str, str], photos: list[UploadFile], faults: dict[str, str]
) -> None:
    assert filled(action, **typed).faults(photos) == faults


def test_a_form_to_be_corrected_is_a_new_request() -> None:
    first = filled("update", text="在北门")
    assert first.key == KEY
    again = first.again(["one"])
    assert again.key != KEY
    assert (again.action, again.text, again.kept) == ("update", "在北门", ("one",))
