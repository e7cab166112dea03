"""Numbers: percentiles, slopes, and the table of what was measured against what was asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

BEGIN = "<!-- figures: written by `python -m tests.load.bench --write docs/performance.md` -->"
END = "<!-- end of figures -->"


@dataclass(frozen=True)
class Figure:
    """One measured number. `ratio` is value / baseline; `met` is None where nothing was asked for."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Row:
    """How one question was answered: half of the times within p50, 95 of 100 within p95."""

    name: str
    documents: int
    p50_ms: float
    p95_ms: float
    index: list[str]
    target_ms: float
    met: bool
    fault: str = ""


def note(name: str, value: float, unit: str) -> Figure:
    """A number that nothing is asked of."""
    return Figure(name, value, unit)


def at_least_times(name: str, value: float, unit: str, baseline: float, times: float) -> Figure:
    """A number that must reach so many times its baseline."""
    ratio = value / baseline if baseline else 0.0
    return Figure(name, value, unit, baseline, ratio, f"≥ {times:g} ×", ratio >= times)


def at_least(name: str, value: float, unit: str, least: float) -> Figure:
    return Figure(name, value, unit, target=f"≥ {least:g} {unit}", met=value >= least)


def at_most(name: str, value: float, unit: str, most: float) -> Figure:
    return Figure(name, value, unit, target=f"≤ {most:g} {unit}", met=value <= most)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("a percentile of nothing")
    ordered = sorted(values)
    place = -int(-share * len(ordered) // 1) - 1
    return ordered[min(max(place, 0), len(ordered) - 1)]


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """By how much y grows per x: the line of least squares through (x, y); 0 for fewer than two different x."""
    if len(samples) < 2:
        return 0.0
    x_mean, y_mean = fmean(x for x, _ in samples), fmean(y for _, y in samples)
    spread = sum((x - x_mean) ** 2 for x, _ in samples)
    return sum((x - x_mean) * (y - y_mean) for x, y in samples) / spread if spread else 0.0


def show(figures: Sequence[Figure]) -> None:
    """The table, for people; figures that fall short say so."""
    table = Table(title="Chuangwen, measured on this machine", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in {"what", "asked for", ""} else "right")
    for figure in figures:
        style = {True: "green", False: "bold red", None: ""}[figure.met]
        table.add_row(*_cells(figure), style=style)
    Console(width=None if Console().is_terminal else 150).print(table)


def save(figures: Sequence[Figure], path: Path) -> None:
    """The figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False, indent=1) + "\n")


def insert(figures: Sequence[Figure], machine: str, path: Path) -> None:
    """Put the table between the two markers of a Markdown file. Raises ValueError when they are not there."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, figures)]
    put_between(path, BEGIN, END, "\n".join([machine, "", *(f"| {' | '.join(row)} |" for row in rows)]))


def put_between(path: Path, begin: str, end: str, text: str) -> None:
    """Replace what a file has between two markers. Raises ValueError when they are not there."""
    before, begun, rest = path.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{path} lacks the markers {begin} and {end}")
    path.write_text("\n".join([f"{before}{begin}", "", text, "", f"{end}{after}"]))


HEADINGS = ("what", "value", "unit", "baseline", "ratio", "asked for", "")


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        _number(figure.value),
        figure.unit,
        _number(figure.baseline),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        figure.target,
        {True: "met", False: "SHORT", None: ""}[figure.met],
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
