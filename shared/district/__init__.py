"""The district as the office describes it in one folder of files, read by every service with the same rigour.

A service asks for what it needs with a form of its own, and uses nothing until all of it is sound:

    class Files(DistrictFiles):
        rules: RulesFile = Field(alias="scoring-rules.json")

    files = read(folder, Files)  # raises DistrictUnusable with every fault of form
    if faults := list(files.loose_ends()):
        raise DistrictUnusable(faults)

`deploy/sample/hengyang` shows the files.
"""

from __future__ import annotations

from shared.district.files import (
    CategoryNamesFile,
    DatedFile,
    DistrictFile,
    DistrictFiles,
    File,
    Grids,
    Outline,
    UnitsFile,
    VenueTypesFile,
    repeated,
    unknown,
)
from shared.district.names import (
    Coded,
    Community,
    GridCell,
    Group,
    Name,
    Named,
    Subdistrict,
    Unit,
    by_code,
)
from shared.district.reading import DistrictUnusable, as_written, made_by, read

__all__ = [
    "CategoryNamesFile",
    "Coded",
    "Community",
    "DatedFile",
    "DistrictFile",
    "DistrictFiles",
    "DistrictUnusable",
    "File",
    "GridCell",
    "Grids",
    "Group",
    "Name",
    "Named",
    "Outline",
    "Subdistrict",
    "Unit",
    "UnitsFile",
    "VenueTypesFile",
    "as_written",
    "by_code",
    "made_by",
    "read",
    "repeated",
    "unknown",
]
