"""Photos on their way to the reports service, ahead of what they belong to, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.datastructures import UploadFile

from services.portal.clients.reports import Reports
from services.portal.repo import HANDED, Handed
from shared.errors import Duplicate
from shared.http.peer import Rejected
from shared.store import Store

Headers = Mapping[str, str]


class PhotosRefused(Exception):
    """Some photos are not accepted; `kept` are those that are, and `message` says what is wrong with the others."""

    def __init__(self, kept: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.kept = kept
        self.message = message


async def hand_in(
    store: Store, reports: Reports, key: str, kept: tuple[str, ...], photos: Sequence[UploadFile], headers: Headers
) -> tuple[str, ...]:
    """The photos of a form by their identity in reports, the `kept` ones first. By its key, each form hands in once.

    Raises PhotosRefused and Unavailable; what was handed in by then and never claimed, reports removes in a day.
    """
    if not photos:
        return kept
    before = await store.get(HANDED, key)
    if before is not None:
        return before.photos
    handed = await _upload(reports, kept, photos, headers)
    uow = store.unit()
    uow.insert(HANDED, Handed(key, handed, uow.now))
    try:
        await store.commit(uow)
    except Duplicate:  # a second click was faster
        faster = await store.get(HANDED, key)
        return faster.photos if faster else handed
    return handed


async def _upload(
    reports: Reports, kept: tuple[str, ...], photos: Sequence[UploadFile], headers: Headers
) -> tuple[str, ...]:
    handed, refused = list(kept), ""
    for photo in photos:
        try:
            handed.append(await reports.upload(photo, headers))
        except Rejected as error:
            refused = error.faults[0].message
    if refused:
        raise PhotosRefused(tuple(handed), refused)
    return tuple(handed)
