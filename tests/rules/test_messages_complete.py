"""Every refusal has a sentence in both languages and a test, and every sentence is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from shared.messages import Messages
from tests.rules.refusals import ROOT, SERVICES, Proofs, Use, catalogue, missing_documents, sources, uses


def _imported(service: Path) -> set[str]:
    """Names of the shared modules that a service uses itself."""
    nodes = (node for _, tree in sources(service) for node in ast.walk(tree))
    modules = (node.module.split(".") for node in nodes if isinstance(node, ast.ImportFrom) and node.module)
    return {steps[1] for steps in modules if steps[0] == "shared" and len(steps) > 1}


def _module(use: Use) -> str:
    return use.file.removesuffix(".py").split("/")[1]


def _without_sentence(found: Iterable[Use], sentences: Messages) -> list[str]:
    known = list(sentences)
    return [f"{use.place}: {use.pattern}" for use in found if use.literal and not any(map(use.raises, known))]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_code_of_a_service_has_a_sentence_in_both_languages(service: Path) -> None:
    sentences, imported = catalogue(service), _imported(service)
    borrowed = [use for use in uses(ROOT / "shared") if _module(use) in imported]
    missing = [code for code in missing_documents(service) if code not in sentences]
    assert _without_sentence([*uses(service), *borrowed], sentences) + missing == []


def test_every_code_of_the_shared_modules_has_a_sentence_in_both_languages() -> None:
    # A module that a service uses itself may have its sentences there: the test above sees to them.
    borrowed = {module for service in SERVICES for module in _imported(service)}
    rest = [use for use in uses(ROOT / "shared") if _module(use) not in borrowed]
    assert _without_sentence(rest, Messages.load()) == []


@pytest.mark.parametrize("folder", [ROOT / "shared", *SERVICES], ids=lambda path: path.name)
def test_every_sentence_gets_its_parameters(folder: Path) -> None:
    sentences = catalogue(folder if folder in SERVICES else None)
    lacking = [
        f"{use.place}: {code} lacks {', '.join(sorted(lack))}"
        for use in uses(folder)
        for code in sentences
        if use.params is not None and use.raises(code) and (lack := sentences.parameters(code) - use.params)
    ]
    assert lacking == []


@pytest.mark.parametrize("service", [None, *SERVICES], ids=lambda path: path.name if path else "shared")
def test_every_sentence_is_used(service: Path | None) -> None:
    folders = [service, ROOT / "shared"] if service else [ROOT / "shared", *SERVICES]
    patterns = {use.pattern for folder in folders for use in uses(folder)}
    given = set(catalogue(service)) - (set(Messages.load()) if service else set())
    assert {code for code in given if not any(re.fullmatch(pattern, code) for pattern in patterns)} == set()


@pytest.mark.parametrize("folder", [ROOT / "shared", *SERVICES], ids=lambda path: path.name)
def test_every_refusal_is_proved_by_a_test(folder: Path) -> None:
    service = folder if folder in SERVICES else None
    sentences, proofs = catalogue(service), Proofs()
    codes = set(sentences) - (set(Messages.load()) if service else set())
    assert sorted(code for code in codes if proofs.of(code, sentences, folder.name) is None) == []


def test_the_rule_sees_what_it_is_for(tmp_path: Path) -> None:
    source = """
raise Invalid("a-b", limit=1)
raise errors.Refused(f"{kind}-closed" if x else "c")
code = "d" if x else "e"
raise NotFound(code)
NOTES = Collection("notes", Note)
uow.get(repo.NOTES, id)
"""
    (tmp_path / "module.py").write_text(source)
    found = list(uses(tmp_path, tmp_path))
    assert {use.pattern for use in found} == {r"a\-b", r".+\-closed", "c", "d", "e"}
    assert found[0].params == frozenset({"limit"})
    assert missing_documents(tmp_path) == {"notes-not-found"}


def test_a_code_that_is_not_written_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("raise Invalid(what())")
    with pytest.raises(ValueError, match=r"module\.py:1: a code must be written out"):
        list(uses(tmp_path, tmp_path))
