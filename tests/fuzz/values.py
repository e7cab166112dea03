"""What requests are made of besides what the documents say: what exists, and what breaks programs."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

KEPT = 40
"""Values kept of one name; the newest push out the oldest."""
LONGEST = 120
NUMBERS: tuple[Any, ...] = (
    -1,
    0,
    10**30,
    -(10**30),
    2**63,
    2**31,
    1e308,
    float("nan"),
    float("inf"),
    True,
    "1_0",
    "1e400",
)
MOMENTS: tuple[Any, ...] = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59Z",
    "0001-01-01",
    "9999-12-31",
    "2027-02-29",
    "2026-11-01T00:00:00 08:00",
    1767225600,
    "1767225600000",
    "2026-13",
    "9999-12",
    "0000-00",
)
TEXTS: tuple[Any, ...] = (
    "",
    " ",
    "\x00",
    "\u200b",
    "\u3164",
    "\ufffe",
    "\uffff",
    "\u202e",
    "\ud800",
    "_x0041_",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "=1+1",
    "NaN",
    "٣",
    "../../etc/passwd",
    "a" * 5000,
    "é" * 400,
)
SHAPES: tuple[Any, ...] = (None, [], {}, {"$gt": ""}, [[[[[[]]]]]])
HOSTILE: tuple[Any, ...] = (*NUMBERS, *MOMENTS, *TEXTS, *SHAPES)
HEADERS: tuple[tuple[str, str], ...] = (
    ("If-None-Match", '"é"'),
    ("If-None-Match", "*"),
    ("If-Modified-Since", "yesterday"),
    ("X-Forwarded-For", "é, 203.0.113.7"),
    ("X-Forwarded-For", "::ffff:203.0.113.7"),
    ("Forwarded", 'for="[2001:db8::1]"'),
    ("Accept-Language", "é;q=2, zh;q=x"),
    ("Accept-Encoding", "br;q=1.0, *;q=0"),
    ("Idempotency-Key", "é"),
    ("Idempotency-Key", "k" * 300),
    ("Range", "bytes=5-1"),
    ("Traceparent", "00-zz-zz-01"),
    ("X-Request-Id", "é" * 300),
    ("Cookie", 'a="\\é"; =; language=xx'),
    ("Origin", "null"),
)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}")
_SINGULAR = {"categories": "category", "seals": "period", "negative-list": "event"}


class Identities:
    """Identities and codes that answers have told, by the first part of their address and their name."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._values: dict[tuple[str, str], list[Any]] = defaultdict(list)

    def learn(self, address: str, answer: Any) -> None:
        """Keep every short value of an answer under its name."""
        for name, value in _leaves(answer):
            for place in ("", _first(address)):
                values = self._values[place, name]
                if value not in values:
                    values.append(value)
                    del values[:-KEPT]

    def of_address(self, address: str, name: str) -> Any:
        """A value for a part of an address; None where none is known."""
        first = _first(address)
        singular = _SINGULAR.get(first, first.removesuffix("s"))
        return self._one((first, name), ("", singular if name == "id" else name))

    def named(self, name: str) -> Any:
        """A value of that name; None where none is known."""
        alias = {"into": "case", "cases": "case", "photos": "photo", "supporting": "unit", "units": "unit"}
        return self._one(("", alias.get(name, name)))

    def _one(self, *places: tuple[str, str]) -> Any:
        values = [value for place in places for value in self._values.get(place, ())]
        return self._chance.choice(values) if values else None


class Spice:
    """Changes requests that fit the document: towards what exists, and towards what hurts."""

    def __init__(self, chance: random.Random, known: Identities) -> None:
        self._chance = chance
        self._known = known

    def address(self, address: str, values: dict[str, Any]) -> None:
        """Parts of the address: mostly those of something that exists."""
        for name in values:
            if self._chance.random() < 0.85 and (value := self._known.of_address(address, name)) is not None:
                values[name] = value

    def query(self, fields: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """A query, and now and then one of the names that it leaves out."""
        if names and self._chance.random() < 0.4:
            name = self._chance.choice(names)
            fields[name] = self._known.named(name) or self._chance.choice(HOSTILE)
        return {name: value for name, value in self.fields(fields).items() if value is not None}

    def fields(self, body: Any) -> Any:
        """Fields of a query or a body."""
        if isinstance(body, dict):
            for name, value in body.items():
                if self._chance.random() < 0.5 and (known := self._known.named(name)) is not None:
                    body[name] = [known] if isinstance(value, list) else known
        if self._chance.random() < 0.4:
            body = self._hurt(body)
        return body

    def headers(self) -> dict[str, str]:
        """Mostly none."""
        return dict([self._chance.choice(HEADERS)]) if self._chance.random() < 0.15 else {}

    def _hurt(self, body: Any) -> Any:
        places = list(_places(body))
        if not places:
            return body
        value, replace = self._chance.choice(places)
        replace(self._chance.choice(self._alike(value)))
        return body

    def _alike(self, value: Any) -> Sequence[Any]:
        """What hurts whoever expects such a value; now and then anything."""
        if self._chance.random() < 0.25:
            return HOSTILE
        if isinstance(value, int | float):
            return NUMBERS
        if isinstance(value, str):
            return MOMENTS if _MOMENT.match(value) else TEXTS
        return SHAPES


def _places(body: Any) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Each value inside, and the way to replace it."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in list(items):
        yield value, partial(body.__setitem__, key)
        yield from _places(value)


def _leaves(answer: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield from _leaves(value, key)
    elif isinstance(answer, list):
        for value in answer[:20]:
            yield from _leaves(value, name)
    elif name and not isinstance(answer, bool) and isinstance(answer, int | str) and 0 < len(str(answer)) <= LONGEST:
        yield name, answer


def _first(address: str) -> str:
    return address.strip("/").partition("/")[0].partition(".")[0]
