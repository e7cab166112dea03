"""What is promised is proved by tests that exist, and what documents link to is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
PROMISES = "docs/promises.md"
GENERATED = {"docs/rules.md"}
DOCUMENTS = sorted(
    {path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))} - GENERATED
)
README_WORDS = 900


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _proofs(name: str) -> list[tuple[str, str]]:
    """Files of tests that a document names, each with a function or without."""
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", _text(name))


@pytest.mark.parametrize(("name", "fewest"), [(PROMISES, 30), *((name, 6) for name in READMES)])
def test_every_test_that_is_named_exists(name: str, fewest: int) -> None:
    named = _proofs(name)
    assert len(named) >= fewest
    for path, function in named:
        tree = ast.parse(_text(path))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert any(each.startswith("test_") for each in defined) or "TestCase" in ast.dump(tree), path
        assert not function or function in defined, f"{path}::{function}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    prose = re.sub(r"^```.*?^```", "", _text(document), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / document).parent / target).exists(), target


def test_both_readmes_make_the_same_promises_and_no_others_than_all() -> None:
    first, second = (set(_proofs(name)) for name in READMES)
    assert first == second
    assert {path for path, _ in first} <= {path for path, _ in _proofs(PROMISES)}


def test_both_readmes_lead_to_the_same_pages_and_commands() -> None:
    def leads(text: str) -> set[str]:
        links = set(re.findall(r"\]\(((?!README)[^)]+)\)", text))
        return links | set(re.findall(r"^(?:make|curl|TOKEN|\.venv)[^#<\n]*", text, re.MULTILINE))

    assert leads(_text("README.md")) == leads(_text("README.zh-CN.md"))


def test_each_of_the_six_questions_is_answered_in_two_files_at_the_most() -> None:
    table = _text(PROMISES).rpartition("| 第二步 Second |")[2]
    questions = [re.findall(r"`([\w/-]+\.(?:py|json))`", row) for row in table.splitlines() if row.startswith("| ")]
    assert len(questions) == 6
    for files in questions:
        assert 1 <= len(files) <= 2
        assert all((ROOT / file).exists() for file in files), files
    answers = re.findall(r"`([\w/-]+\.py)`: `(\w+)`", table)
    assert all(re.search(rf"\b{name}\b", _text(file)) for file, name in answers), answers


def test_the_readme_is_read_to_its_end() -> None:
    assert len(_text("README.md").split()) <= README_WORDS
