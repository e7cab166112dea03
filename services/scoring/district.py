"""What scoring needs of the district's data: which units are ranked, and the rules of the office."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from services.scoring.domain import Rule, RuleBook
from services.scoring.repo import CURRENT


class _Unit(BaseModel):
    code: str
    group: str


class _UnitsFile(BaseModel):
    units: list[_Unit]


class _RulesFile(BaseModel):
    version: int
    rules: list[Rule]


@dataclass(frozen=True)
class District:
    """Units with the group they are ranked in, and the office's rules."""

    groups: dict[str, str]
    rule_book: RuleBook

    @classmethod
    def load(cls, folder: Path) -> District:
        """Read `units.json` and `scoring-rules.json`. Raises OSError, ValueError."""
        units = _UnitsFile.model_validate_json((folder / "units.json").read_bytes()).units
        book = _RulesFile.model_validate_json((folder / "scoring-rules.json").read_bytes())
        return cls({unit.code: unit.group for unit in units}, RuleBook(CURRENT, book.version, book.rules))
