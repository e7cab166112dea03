"""Every text that a page may ask for is there in both languages, and every text is asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from services.portal.domain.cases import STEPS
from services.portal.forms import ACTIONS, Report
from services.portal.handlers import CASE_EVENTS
from services.portal.rendering import ROOM
from shared.contracts.reports import CaseState, Channel, Kind, Level, Stage
from shared.contracts.scoring import FactKind, ListKind

TEXTS: dict[str, dict[str, str]] = json.loads((ROOM / "texts.json").read_text(encoding="utf-8"))
TEMPLATES = sorted((ROOM / "templates").glob("*.html"))
SOURCES = "\n".join(file.read_text(encoding="utf-8") for file in [*TEMPLATES, *sorted(ROOM.parent.rglob("*.py"))])
PUT_TOGETHER: dict[str, set[str]] = {
    "state-": set(CaseState),
    "channel-": set(Channel),
    "step-": set(STEPS),
    "kind-": {model.TYPE.split(".")[-2] for model in CASE_EVENTS} | set(Kind) | {"case-stage-overdue"},
    "kind-case-overdue-": {level.value for level in Level} - {"blue"},
    "kind-hint-": {Kind.PROBLEM, Kind.PRAISE},
    "stage-": set(Stage),
    "publication-": {"pending", "withheld"},
    "done-": set(ACTIONS),
    "feedback-title-": set(ACTIONS),
    "ask-": {"resolved", "satisfied"},
    "not-": {"resolved", "satisfied"},
    "": {"resolved", "satisfied", "yes", "no"},
    "field-": {"category", "place", "address", "text", "photos", "name", "phone"},
    "fact-": set(FactKind),
    "list-kind-": set(ListKind),
}


def asked_for() -> set[str]:
    composed = {prefix + end for prefix, ends in PUT_TOGETHER.items() for end in ends}
    return composed | {key for key in TEXTS if re.search(rf"""['"]{re.escape(key)}['"]""", SOURCES)}


def test_every_text_is_there_and_in_use() -> None:
    literal = set(re.findall(r"""\bt\('([a-z0-9-]+)'[,)]""", SOURCES)) | set(re.findall(r'"(fault-[a-z-]+)"', SOURCES))
    assert literal - set(TEXTS) == set()
    assert asked_for() == set(TEXTS)


def test_every_text_speaks_both_languages() -> None:
    assert [key for key, words in TEXTS.items() if set(words) != {"zh", "en"} or not all(words.values())] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_words_of_its_own_or_anything_that_the_browser_would_refuse(template: Path) -> None:
    source = template.read_text(encoding="utf-8")
    words = re.sub(r"\{[%{#].*?[%}#]\}|<[^>]*>", "", source, flags=re.DOTALL)
    assert re.findall(r"[一-鿿]{2,}", words) == []
    assert re.findall(r"""\sstyle=|\son[a-z]+=|<script(?! src=)|<style|\|\s*safe""", source) == []


def test_every_field_of_the_form_is_in_the_page() -> None:
    templates = ("report.html", "parts.html", "similar.html")
    page = "".join((ROOM / "templates" / name).read_text(encoding="utf-8") for name in templates)
    fields = set(Report.__dataclass_fields__) - {"answers"}
    assert [name for name in sorted(fields) if f'name="{name}"' not in page] == []
    assert "{% set field = 'answer.' ~ each.code %}" in page


def test_what_was_typed_goes_through_the_question_whether_it_is_on_file() -> None:
    page = (ROOM / "templates/similar.html").read_text(encoding="utf-8")
    carried = set(Report.__dataclass_fields__) - {"answers"}
    assert [name for name in sorted(carried) if f"'{name}'" not in page and f'name="{name}"' not in page] == []
