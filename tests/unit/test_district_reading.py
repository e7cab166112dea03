"""The folder of the district is read by every service with the same rigour, and faults are named by file and row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from shared.district import (
    DistrictFiles,
    DistrictUnusable,
    File,
    Name,
    Named,
    VenueTypesFile,
    as_written,
    by_code,
    read,
)

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample" / "hengyang"


class _IssuersFile(File):
    issuers: list[Annotated[Named, as_written(Named)]]


class _Files(DistrictFiles):
    venue_types: VenueTypesFile = Field(alias="venue-types.json")
    lists: _IssuersFile = Field(alias="lists.json")


def test_a_service_reads_its_own_files_beside_those_of_all() -> None:
    files = read(SAMPLE, _Files)
    assert list(files.loose_ends()) == []
    assert by_code(files.lists.issuers)["first"].name == Name("创文督导一组", "Supervision Group 1")
    assert files.district.areas["430476001004"].zh == "银光社区"
    assert files.district.areas["430476"].zh == "衡阳高新区"


def test_faults_of_all_files_are_named_together_by_row(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "district"))
    _edit(folder / "lists.json", "issuers", {"code": "first", "nmae": {}})
    _edit(folder / "units.json", "units", {"code": "first"})
    (folder / "calendar.json").write_text("{", encoding="utf-8")
    with pytest.raises(DistrictUnusable) as fault:
        read(folder, _Files)
    found = "\n".join(fault.value.problems)
    assert "lists.json: issuers.0: Value error, unknown: nmae" in found
    assert "units.json: units.0.name: " in found
    assert "calendar.json: JSONDecodeError" in found


def test_a_file_with_a_default_may_be_missing(tmp_path: Path) -> None:
    class Optional(BaseModel):
        lists: _IssuersFile | None = Field(alias="lists.json", default=None)

    assert read(tmp_path, Optional).lists is None


@pytest.mark.parametrize(("language", "text"), [("zh", "社区"), ("en", "Community")])
def test_a_name_reads_in_either_language(language: str, text: str) -> None:
    assert Name("社区", "Community").text(language) == text


def test_a_name_without_english_is_chinese_in_both() -> None:
    assert Name("社区").text("en") == "社区"


def _edit(file: Path, rows: str, row: object) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    content[rows][0] = row
    file.write_text(json.dumps(content), encoding="utf-8")
