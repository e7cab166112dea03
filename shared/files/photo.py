"""The photo as it is kept: what it may become, and when somebody has to look after it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.deadlines import Deadline
from shared.errors import Invalid, Refused
from shared.pictures.likeness import Likeness
from shared.pictures.picture import Hint, Kind, Region
from shared.store import Collection, Index, UnitOfWork

UNCLAIMED_FOR = timedelta(hours=24)
"""How long a photo waits for the report it belongs to."""
AGAIN_AFTER = timedelta(minutes=10)
"""When what a process began with a photo is taken up again, in case that it died."""
MOST_REGIONS = 20


class PhotoState(StrEnum):
    """ARRIVING: its files may be incomplete. READY. REDRAWING: it has no copies. BARE: it has nothing but copies.

    ABANDONED: its files are going.
    """

    ARRIVING = "arriving"
    READY = "ready"
    REDRAWING = "redrawing"
    BARE = "bare"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class Content:
    """What the bytes tell, so the same for every photo of equal bytes.

    `width` and `height` are pixels of the original, held upright; `sha256` is that of the original's bytes.
    """

    sha256: str
    kind: Kind
    width: int
    height: int
    byte_count: int
    likeness: Likeness | None = None
    hint: Hint | None = None


@dataclass
class Photo:
    """A photo that was handed in; `id` cannot be guessed, nor can the names of its copies. Times are UTC.

    `original` and `copies` begin the names of its files, which equal photos share; `spare` are copies that are to go.
    Of a BARE one the original is to go as long as it is named.
    `claimed_by` is the identity of what shows it, `public` whether everybody may see it there; `hidden` takes it out
    of everybody's sight, and the `blackened` regions take parts of it. `seen_before` are others that show the same
    picture, None until that was looked up. `deadline_at` is the end of its wait for a claim, then the moment to look
    whether work on it was left undone. `decisions` counts those that staff took about it.
    """

    id: str
    content: Content
    original: str
    copies: str | None
    uploaded_at: datetime
    deadline_at: datetime | None
    state: PhotoState = PhotoState.ARRIVING
    claimed_by: str | None = None
    public: bool = False
    hidden: bool = False
    blackened: tuple[Region, ...] = ()
    spare: tuple[str, ...] = ()
    seen_before: tuple[str, ...] | None = None
    decisions: int = 0

    @property
    def kept(self) -> bool:
        """Whether its original is there and will stay as long as the photo."""
        return self.state in {PhotoState.READY, PhotoState.REDRAWING}

    @property
    def known(self) -> bool:
        """Whether it is there to be judged."""
        return self.kept or self.state is PhotoState.BARE

    @property
    def in_sight(self) -> bool:
        """Whether whoever may see what claimed it may see its copies."""
        return self.state in {PhotoState.READY, PhotoState.BARE} and not self.hidden

    @property
    def unfinished(self) -> bool:
        """Whether there is work left to do on a claimed photo."""
        going = self.state is PhotoState.BARE and bool(self.original)
        return self.state is PhotoState.REDRAWING or going or bool(self.spare) or self.seen_before is None

    def claim(self, by: str, public: bool, now: datetime) -> None:
        """It belongs to `by` from now on, to which it may belong already."""
        self.claimed_by, self.public = by, public
        self.remind(now)

    def hide(self) -> None:
        """Raises Refused (`photo-unclaimed`, `photo-hidden`)."""
        self._require_claim()
        if self.hidden:
            raise Refused("photo-hidden")
        self.hidden = True

    def unhide(self) -> None:
        """Raises Refused (`photo-unclaimed`, `photo-not-hidden`)."""
        self._require_claim()
        if not self.hidden:
            raise Refused("photo-not-hidden")
        self.hidden = False

    def blacken(self, regions: Sequence[Region], now: datetime) -> None:
        """The regions too are black from now on.

        Regions are added and never replaced: of two people who look at the same copy, neither lays open what the
        other blackened. Raises Refused (`photo-unclaimed`) and Invalid (`photo-too-many-regions`,
        `photo-region-empty`).
        """
        for place, region in enumerate(regions):
            if not (0 <= region.left < region.right <= 1 and 0 <= region.top < region.bottom <= 1):
                raise Invalid("photo-region-empty", field=f"regions.{place}")
        together = tuple(dict.fromkeys((*self.blackened, *regions)))
        if len(together) > MOST_REGIONS:
            raise Invalid("photo-too-many-regions", field="regions", limit=MOST_REGIONS)
        self._redraw(together, now)

    def uncover(self, now: datetime) -> None:
        """No region is black any more. Raises Refused (`photo-unclaimed`, `photo-not-blackened`)."""
        self._require_claim()
        if not self.blackened:
            raise Refused("photo-not-blackened")
        self._redraw((), now)

    def bare(self, now: datetime) -> None:
        """Its original is to go, with what its camera noted; the copies stay. Not while they are being drawn."""
        if self.state is PhotoState.READY:
            self.state, self.content = PhotoState.BARE, replace(self.content, hint=None)
            self.remind(now)

    def remind(self, now: datetime) -> None:
        """Have a claimed photo looked after again as long as there is work left to do on it."""
        self.deadline_at = now + AGAIN_AFTER if self.unfinished else None

    def _redraw(self, blackened: tuple[Region, ...], now: datetime) -> None:
        """Raises Refused (`photo-unclaimed`, `photo-without-original`)."""
        self._require_claim()
        if self.state is PhotoState.BARE:
            raise Refused("photo-without-original")
        if self.copies is not None:
            self.spare = (*self.spare, self.copies)
        self.state, self.copies, self.blackened = PhotoState.REDRAWING, None, blackened
        self.remind(now)

    def _require_claim(self) -> None:
        """Nobody but staff sees a photo that is not claimed, and it goes by itself."""
        if self.claimed_by is None:
            raise Refused("photo-unclaimed")


PHOTOS = Collection(
    "photos",
    Photo,
    [
        Index((("deadline_at", 1),)),
        Index((("content.sha256", 1),)),
        Index((("content.likeness.bands", 1),)),
        Index((("original", 1),)),
        Index((("copies", 1),)),
    ],
)


async def attend(uow: UnitOfWork, id: str, _: object) -> None:
    """The deadline has passed: one that nobody claimed is given up; work that was left undone is taken up again."""
    photo = await uow.find(PHOTOS, id)
    if photo is not None and photo.deadline_at is not None and photo.deadline_at <= uow.now:
        if photo.claimed_by is None:
            photo.state = PhotoState.ABANDONED
        photo.deadline_at = uow.now + AGAIN_AFTER
        uow.save(PHOTOS, photo)


PHOTO_DEADLINE = Deadline(PHOTOS, attend)
