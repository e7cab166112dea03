"""What a request may say: the base of all bodies, and the bounds that hold for every input.

    class Verify(Body):
        passed: bool
        note: str = ""

A body says each thing in one way: no unknown member, no number for a date, no `true` or `"1_0"` for a number. It is
counted before it is read, so that no form of nesting or repetition costs more than its bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

MOST_MEMBERS = 1_000
"""Members of one JSON object."""
MOST_VALUES = 50_000
"""Values in one body, nested ones included."""
MOST_DEPTH = 16
YEARS = range(1900, 2201)
"""What a date may be: nobody means another, and databases, spreadsheets and time zones fail beyond."""
MOST_NUMBER = 2**63 - 1
"""Whole numbers are kept in 64 bits."""
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)


Path = tuple[str | int, ...]
Fault = dict[str, Any]
"""As Pydantic tells one: `type`, `loc`, `ctx`."""


class Body(BaseModel):
    """The base of request bodies: what it does not know is refused. Routes read every body strictly."""

    model_config = ConfigDict(extra="forbid")


class Overloaded(ValueError):
    """A body with more members, values or levels than anything that is accepted."""


def parsed(body: bytes) -> Any:
    """The JSON of a body. Raises ValueError for what is no JSON (NaN and broken text included), and Overloaded."""
    read = from_json(body, allow_inf_nan=False)
    _count(read)
    return read


def _count(read: Any) -> None:
    left, level = MOST_VALUES, [read]
    for _ in range(MOST_DEPTH):
        within = [each for each in level if isinstance(each, dict | list)]
        left -= len(level)
        if sum(map(len, within)) > left:
            raise Overloaded
        if not (level := [inner for each in within for inner in _inside(each)]):
            return
    raise Overloaded


def _inside(value: dict[str, Any] | list[Any]) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif len(value) > MOST_MEMBERS:
        raise Overloaded
    else:
        yield from value.values()


def loose(raw: object, read: object, path: Path = ()) -> Iterator[Fault]:
    """What Pydantic let through though it is no plain date or number, or none that can be kept.

    `raw` is the JSON and `read` what was made of it.
    """
    if isinstance(raw, dict):
        for name, inner in raw.items():
            yield from loose(inner, _member(read, name), (*path, name))
    elif isinstance(raw, list):
        parallel = read if isinstance(read, list | tuple) and len(read) == len(raw) else [None] * len(raw)
        for place, (inner, made) in enumerate(zip(raw, parallel, strict=True)):
            yield from loose(inner, made, (*path, place))
    elif (found := _loose(raw, read)) is not None:
        yield {"type": found, "loc": path, "ctx": {"limit": f"{YEARS[0]}–{YEARS[-1]}", "le": MOST_NUMBER}}


def _member(read: object, name: str) -> object:
    if isinstance(read, BaseModel):
        fields = type(read).model_fields
        named = name if name in fields else next((each for each in fields if fields[each].alias == name), "")
        return getattr(read, named, None)
    return read.get(name) if isinstance(read, dict) else None


def _loose(raw: object, read: object) -> str | None:
    """The type of the fault as Pydantic calls it: it takes digits for seconds since 1970, and `1_0` for ten."""
    if isinstance(raw, str):
        if isinstance(read, datetime) and not MOMENT.fullmatch(raw):
            return "datetime_parsing"
        if isinstance(read, date) and not isinstance(read, datetime) and not DAY.fullmatch(raw):
            return "date_parsing"
        if isinstance(read, date) and read.year not in YEARS:
            return "date_out_of_range"
        return "decimal_parsing" if isinstance(read, Decimal) and not NUMBER.fullmatch(raw) else None
    if isinstance(raw, float) and not math.isfinite(raw):
        return "finite_number"
    return "less_than_equal" if isinstance(raw, int) and not -MOST_NUMBER <= raw <= MOST_NUMBER else None
