"""What requests are made of besides what the documents say: what exists, and what breaks programs."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

KEPT = 40
"""Values kept of one name; the newest push out the oldest."""
LONGEST = 120
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    -(10**30),
    2**63,
    2**31,
    1e308,
    float("nan"),
    float("inf"),
    1767225600,
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
    "1_0",
    "1e400",
    "NaN",
    "٣",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01",
    "9999-12-31",
    "2027-02-29",
    "2026-11-01T00:00:00 08:00",
    "2026-13",
    "9999-12",
    "0000-00",
    "../../etc/passwd",
    "a" * 5000,
    "é" * 400,
    [],
    {},
    {"$gt": ""},
    [[[[[[]]]]]],
)
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
_SINGULAR = {"categories": "category", "seals": "period", "negative-list": "event"}


class Known:
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

    def __init__(self, chance: random.Random, known: Known) -> None:
        self._chance = chance
        self._known = known

    def address(self, address: str, values: dict[str, Any]) -> None:
        """Parts of the address: mostly those of something that exists."""
        for name in values:
            if self._chance.random() < 0.85 and (value := self._known.of_address(address, name)) is not None:
                values[name] = value

    def fields(self, body: Any) -> Any:
        """Fields of a query or a body."""
        if isinstance(body, dict):
            for name, value in body.items():
                if self._chance.random() < 0.5 and (known := self._known.named(name)) is not None:
                    body[name] = [known] if isinstance(value, list) else known
        if self._chance.random() < 0.3:
            body = self._hurt(body)
        return body

    def headers(self) -> dict[str, str]:
        """Mostly none."""
        return dict([self._chance.choice(HEADERS)]) if self._chance.random() < 0.15 else {}

    def _hurt(self, body: Any) -> Any:
        places = list(_places(body))
        if not places:
            return body
        self._chance.choice(places)(self._chance.choice(HOSTILE))
        return body


def _places(body: Any) -> Iterator[Callable[[Any], None]]:
    """Ways to replace each value inside."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in list(items):
        yield partial(body.__setitem__, key)
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
