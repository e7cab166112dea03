"""Templates: what the office's file may say, and that filling one in never fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.stack import DISTRICT
from services.reports.district import District
from services.reports.district.templates import Templates
from services.reports.domain import Catalogue, Name
from services.reports.domain.templates import PLACEHOLDERS, STEPS, Template
from services.reports.domain.words import Command
from services.reports.views.names import Names
from services.reports.views.templates import placeholders
from shared.district import DistrictUnusable
from tests.unit.reports.cases import LAMP, MONDAY_NINE, TO_OFFICE, registered

SAMPLE = District.load(DISTRICT)
NAMES = Names.of(SAMPLE, Catalogue(1, SAMPLE.categories))


def a_template(text: str = "已整改", step: str = "reply", **more: object) -> dict[str, object]:
    return {"code": "t", "step": step, "name": {"zh": "模板", "en": "Template"}, "text": text, **more}


def load(folder: Path, *templates: dict[str, object]) -> Templates:
    content = {"version": 3, "effective_from": "2026-01-01", "templates": templates}
    (folder / "templates.json").write_text(json.dumps(content))
    return Templates.load(folder, {"street-light"})


def test_the_sample_districts_templates_are_sound_and_have_one_for_each_way_to_reply() -> None:
    templates = Templates.load(DISTRICT, SAMPLE.categories)
    assert templates.version == 1
    for category in SAMPLE.categories:
        assert templates.of(Command.REPLY, category)


def test_a_district_may_have_none(tmp_path: Path) -> None:
    assert Templates.load(tmp_path, ()).of() == []


def test_those_of_other_steps_and_categories_are_left_out(tmp_path: Path) -> None:
    lamp = a_template(code="lamp", categories=["street-light"])
    templates = load(tmp_path, lamp, a_template(code="any"), a_template(code="back", step="return"))
    assert [each.code for each in templates.of(Command.REPLY, "street-light")] == ["lamp", "any"]
    assert [each.code for each in templates.of(Command.REPLY, "noise")] == ["any"]
    assert [each.code for each in templates.of(Command.RETURN)] == ["back"]
    assert len(templates.of()) == 3


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (a_template("{phone}"), "{phone} is not one of"),
        (a_template("{case.text}"), "{case.text} is not one of"),
        (a_template("{case!r}"), "{case} is not one of"),
        (a_template("{case:>2000}"), "{case} is not one of"),
        (a_template("{}"), "{} is not one of"),
        (a_template("{case"), "the text: "),
        (a_template(""), "the text has to have"),
        (a_template("长" * 1_001), "the text has to have"),
        (a_template(step="acknowledge"), "acknowledge is done without words"),
        (a_template(step="no-such"), "templates.0.step"),
        (a_template(categories=["no-such"]), "category no-such is not known"),
    ],
)
def test_a_template_that_could_not_be_filled_in_is_refused_at_the_start(
    tmp_path: Path, template: dict[str, object], fault: str
) -> None:
    with pytest.raises(DistrictUnusable) as refused:
        load(tmp_path, template)
    assert fault in str(refused.value)


def test_a_code_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(DistrictUnusable, match="t is listed twice"):
        load(tmp_path, a_template(), a_template(step="return"))


def test_every_place_is_filled_by_the_case() -> None:
    case = registered(LAMP, TO_OFFICE)
    found = placeholders(case, NAMES, MONDAY_NINE)
    assert set(found) == set(PLACEHOLDERS)
    assert found == {
        "case": case.id,
        "category": "路灯不亮",
        "community": "银光社区",
        "address": "银光路口",
        "unit": "",
        "registered": "2026年3月2日",
        "due": "",
        "today": "2026年3月2日",
    }
    assert placeholders(registered(), NAMES, MONDAY_NINE)["due"] == "2026年3月2日15:00"
    text = "、".join(f"{{{name}}}" for name in PLACEHOLDERS)
    assert "{" not in Template("t", Command.REPLY, Name("", ""), text).fill(found)


def test_steps_are_those_that_take_words() -> None:
    assert {Command.REPLY, Command.RETURN, Command.COMMENT} <= STEPS
    assert Command.ACKNOWLEDGE not in STEPS
