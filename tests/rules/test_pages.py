"""Pages that are made from the code are as the code is now."""

from __future__ import annotations

import pytest
from pydantic import Field

from shared.settings import Environment
from tests.rules.pages import PAGES, ROOT
from tests.rules.settings_page import meanings, services


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "run: make docs"


@pytest.mark.parametrize("service", services())
def test_every_setting_says_in_both_languages_what_it_means(service: str) -> None:
    for name, field in services()[service].model_fields.items():
        try:
            chinese, english = meanings(field)
        except ValueError:
            pytest.fail(f"{name}: the description must be in Chinese, then after ` · ` in English")
        assert any("一" <= letter <= "鿿" for letter in chinese), name
        assert english.isascii() or "…" in english, name


def test_a_setting_in_one_language_is_noticed() -> None:
    class Offender(Environment):
        host: str = Field(description="the address to listen on")

    with pytest.raises(ValueError, match="unpack"):
        meanings(Offender.model_fields["host"])
