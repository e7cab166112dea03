"""What decoding a HEIC photo would cost, read from its boxes before anything of it is decoded.

The decoder keeps to the size that each item declares, but goes wherever the file sends it: a grid may draw one tile
65,535 times, grids may nest, an item may be made of the same bytes again and again. A few kilobytes would keep a
processor busy for hours. Boxes by ISO/IEC 14496-12 (8.11) and 23008-12.
"""

from __future__ import annotations

from collections.abc import Iterator

MOST_DESCRIPTION = 1024 * 1024
"""Bytes of the box that describes the items; that of a photo of 48 million pixels in 200 tiles has some 12,000."""
MOST_DEPTH = 3
"""How deep pictures are made of pictures: a turned grid of tiles."""
UNTOLD = 2**40
"""Pixels of an item that does not tell its size."""

Areas = dict[int, int]
References = dict[int, list[int]]


def pixels_of(content: bytes) -> int:
    """How many pixels are decoded to show the photo: its own, or those of the tiles it is drawn from if more.

    A plane that belongs to a picture, as its transparency does, is not counted and may be about as large as the
    picture. Raises ValueError for a file that is damaged or that no camera writes.
    """
    description = _only(memoryview(content), b"meta")
    if len(description) > MOST_DESCRIPTION:
        raise ValueError("the description is too long")
    items = description[4:]
    if _bytes_used(_only(items, b"iloc"), len(content)) > 2 * len(content):
        raise ValueError("items share their bytes")
    sources, planes = _references(items)
    areas = _areas(_only(items, b"iprp"))
    weights: Areas = {}
    for picture, belonging in planes.items():
        fit = 2 * _weight(picture, areas, sources, weights) + 65_536
        if any(_weight(plane, areas, sources, weights) > fit for plane in belonging):
            raise ValueError("a plane is larger than its picture")
    return _weight(_primary(_only(items, b"pitm")), areas, sources, weights)


class _Fields:
    """Numbers one after the other. Raises ValueError where there are none left."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def number(self, size: int) -> int:
        self._at += size
        if self._at > len(self._data):
            raise ValueError("a box ends too early")
        return int.from_bytes(self._data[self._at - size : self._at], "big")

    def rest(self) -> memoryview:
        return self._data[self._at :]


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(data):
        fields = _Fields(data[at:])
        size, name, head = fields.number(4), fields.number(4).to_bytes(4, "big"), 8
        if size == 1:
            size, head = fields.number(8), 16
        elif size == 0:
            size = len(data) - at
        if not head <= size <= len(data) - at:
            raise ValueError("a box is longer than what it is in")
        yield name, data[at + head : at + size]
        at += size


def _only(data: memoryview, wanted: bytes) -> memoryview:
    """Its only box of that name: which of two counts is not for us to guess."""
    [found] = [content for name, content in _boxes(data) if name == wanted]
    return found


def _primary(box: memoryview) -> int:
    fields = _Fields(box)
    version = fields.number(4) >> 24
    return fields.number(4 if version else 2)


def _areas(box: memoryview) -> Areas:
    """Pixels of each item, by the largest size that it is given."""
    properties = [(name, content) for name, content in _boxes(_only(box, b"ipco"))]
    areas: Areas = {}
    for name, content in _boxes(box):
        if name == b"ipma":
            for item, index in _associations(content):
                if 0 < index <= len(properties) and properties[index - 1][0] == b"ispe":
                    size = _Fields(properties[index - 1][1][4:])
                    areas[item] = max(areas.get(item, 0), size.number(4) * size.number(4))
    return areas


def _associations(box: memoryview) -> Iterator[tuple[int, int]]:
    fields = _Fields(box)
    version, flags = fields.number(1), fields.number(3)
    for _ in range(fields.number(4)):
        item = fields.number(4 if version else 2)
        for _ in range(fields.number(1)):
            yield item, fields.number(2) & 0x7FFF if flags & 1 else fields.number(1) & 0x7F


def _references(items: memoryview) -> tuple[References, References]:
    """What each picture is drawn from, and the planes that belong to it."""
    sources: References = {}
    planes: References = {}
    for box in (content for name, content in _boxes(items) if name == b"iref"):
        fields = _Fields(box)
        width = 4 if fields.number(4) >> 24 else 2
        for name, content in _boxes(fields.rest()):
            reference = _Fields(content)
            item = reference.number(width)
            named = [reference.number(width) for _ in range(reference.number(2))]
            if name == b"dimg":
                sources.setdefault(item, []).extend(named)
            elif name == b"auxl":
                for picture in named:
                    planes.setdefault(picture, []).append(item)
    return sources, planes


def _weight(item: int, areas: Areas, sources: References, known: Areas, depth: int = 0) -> int:
    """Pixels that are decoded for an item; `known` are those of the items that were asked for before."""
    if depth > MOST_DEPTH:
        raise ValueError("pictures are made of pictures without end")
    if item not in known:
        drawn = sum(_weight(each, areas, sources, known, depth + 1) for each in sources.get(item, ()))
        known[item] = max(areas.get(item, UNTOLD), drawn)
    return known[item]


def _bytes_used(box: memoryview, whole: int) -> int:
    """Bytes of all items together; one that does not tell its length has the `whole` file."""
    fields = _Fields(box)
    version = fields.number(4) >> 24
    sizes = fields.number(2)
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    used = 0
    for _ in range(fields.number(4 if version > 1 else 2)):
        fields.number(4 if version > 1 else 2)
        fields.number(4 if version else 2)
        fields.number(base)
        for _ in range(fields.number(2)):
            fields.number((index if version else 0) + offset)
            used += fields.number(length) or whole
    return used
