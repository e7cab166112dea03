"""The areas that a place lies in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Areas:
    """The areas that a place lies in, by code: subdistrict (街道), community or village (社区、村), grid (网格).

    `grid` is "" where none is drawn.
    """

    community: str
    subdistrict: str
    grid: str = ""
