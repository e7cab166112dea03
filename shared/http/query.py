"""What a query or a path may say: each thing in one way, as in a body.

A query is text, and Pydantic reads much into text: `1_0` is ten, a number of seconds is a date. So the text itself is
looked at first, wherever a route declares a number or a date.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel

from shared.http.body import DAY, MOMENT, NUMBER, YEARS

MOST_TEXT = 2_000
"""Characters of one value; a search of people is far shorter."""
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
# The plus of an offset is a blank in a query, unless it is escaped.
_LOST_PLUS = re.compile(r"(.*[Tt]\d{2}:\d{2}\S*) (\d{2}:?\d{2})", re.ASCII)
_HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

Fault = str | None
Check = Callable[[str], Fault]
"""The type of a fault as Pydantic calls it, or None."""


def _whole(text: str) -> Fault:
    return None if _WHOLE.fullmatch(text) else "int_parsing"


def _number(text: str) -> Fault:
    if text.lstrip("+-").lower() in {"nan", "inf", "infinity"}:
        return "finite_number"
    return None if NUMBER.fullmatch(text) else "decimal_parsing"


def _day(text: str) -> Fault:
    if not DAY.fullmatch(text):
        return "date_parsing"
    return None if int(text[:4]) in YEARS else "date_out_of_range"


def _moment(text: str) -> Fault:
    if _LOST_PLUS.fullmatch(text):
        return "plus_unescaped"
    if not (MOMENT.fullmatch(text) or DAY.fullmatch(text)):
        return "datetime_parsing"
    return None if int(text[:4]) in YEARS else "date_out_of_range"


_CHECKS: Mapping[Any, Check] = {
    int: _whole,
    float: _number,
    Decimal: _number,
    date: _day,
    datetime: _moment,
    AwareDatetime: _moment,
}


class Query:
    """The numbers and dates among the parameters of a route, and the check of every text."""

    def __init__(self, dependant: Dependant) -> None:
        parts = list(_flat(dependant))
        self._query = dict(check for part in parts for check in _checks(part.query_params))
        self._path = dict(check for part in parts for check in _checks(part.path_params))

    def refuse(self, request: Request) -> None:
        """Raises RequestValidationError as FastAPI does, naming the parameter; 404 for a path that nothing has."""
        if any(_unreadable(str(value)) for value in request.path_params.values()):
            raise HTTPException(404)
        faults = [
            {"type": fault, "loc": (where, name), "msg": "", "ctx": {"limit": f"{YEARS[0]}–{YEARS[-1]}"}}
            for where, name, fault in self._faults(request)
        ]
        if faults:
            raise RequestValidationError(faults)

    def _faults(self, request: Request) -> Iterator[tuple[str, str, str]]:
        if request.scope["query_string"]:
            for name, text in request.query_params.multi_items():
                fault = _fault(text, self._query.get(name))
                if fault is not None:
                    yield "query", name, fault
        for name, check in self._path.items():
            if (fault := check(str(request.path_params.get(name, "")))) is not None:
                yield "path", name, fault


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _flat(inner)


def _unreadable(text: str) -> bool:
    return len(text) > MOST_TEXT or _HIDDEN.search(text) is not None


def _fault(text: str, check: Check | None) -> Fault:
    if _unreadable(text):
        return "text_unreadable"
    return check(text) if check and text else None


def _checks(params: list[Any]) -> Iterator[tuple[str, Check]]:
    for param in params:
        kind = param.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                if (check := _check_of(field.annotation)) is not None:
                    yield field.alias or name, check
        elif (check := _check_of(kind)) is not None:
            yield param.alias, check


def _check_of(annotation: object) -> Check | None:
    """The check for an annotation: that of the one number or date in it, optional or repeated."""
    if isinstance(annotation, type):
        return None if issubclass(annotation, Enum) else _CHECKS.get(annotation)
    origin = typing.get_origin(annotation)
    inner = [each for each in typing.get_args(annotation) if each is not type(None)]
    if origin is typing.Annotated:
        return _check_of(inner[0])
    if origin in {typing.Union, types.UnionType, list, tuple, set, frozenset} and inner:
        return _check_of(inner[0]) if len({*map(str, inner)} - {"Ellipsis"}) == 1 else None
    return None
