"""The office's templates, read from `templates.json` of the district's folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from services.reports.domain import Command
from services.reports.domain.templates import Template
from shared.district import DatedFile, DistrictUnusable, read, repeated

FILE = "templates.json"


class _File(DatedFile):
    templates: list[Template]


class _Files(BaseModel):
    templates: _File | None = Field(alias=FILE, default=None)


@dataclass(frozen=True)
class Templates:
    """All templates of the district in one version of the file, in its order; a district may have none."""

    version: int
    templates: Sequence[Template]

    @classmethod
    def load(cls, folder: Path, categories: Collection[str]) -> Templates:
        """What the file says; `categories` are those there are. Raises DistrictUnusable with every fault by row."""
        file = read(folder, _Files).templates
        if file is None:
            return cls(0, ())
        if faults := list(_faults(file, categories)):
            raise DistrictUnusable(faults)
        return cls(file.version, tuple(file.templates))

    def of(self, step: Command | None = None, category: str | None = None) -> list[Template]:
        """Those for a step and a category."""
        return [template for template in self.templates if template.fits(step, category)]


def _faults(file: _File, categories: Collection[str]) -> Iterator[str]:
    yield from repeated(f"{FILE}:", file.templates)
    for template in file.templates:
        yield from (f"{FILE}: {template.code}: {fault}" for fault in template.faults())
        for category in template.categories:
            if category not in categories:
                yield f"{FILE}: {template.code}: category {category} is not known"
