"""The areas of a district, one within the other: subdistrict (街道), community or village (社区、村), grid (网格)."""

from __future__ import annotations

from dataclasses import dataclass

from services.reports.domain.catalogue import Name


@dataclass(frozen=True)
class Community:
    """A community or village (社区、村) by its statistical code, and the unit that answers for it (属地)."""

    code: str
    name: Name
    unit: str


@dataclass(frozen=True)
class Subdistrict:
    """A subdistrict (街道), and the unit that answers for it; its communities' statistical codes begin with its own."""

    code: str
    name: Name
    unit: str


@dataclass(frozen=True)
class GridCell:
    """A grid (网格): a part of a community that a grid worker looks after."""

    code: str
    name: Name
    community: str


@dataclass(frozen=True)
class Areas:
    """The areas that a place lies in, by code; `grid` is "" where none is drawn."""

    community: str
    subdistrict: str
    grid: str = ""
