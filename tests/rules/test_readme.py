"""What the READMEs promise is proved by tests that exist, and what they link to is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")


@pytest.mark.parametrize("name", READMES)
def test_every_test_that_is_named_exists(name: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / name).read_text(encoding="utf-8"))
    assert len(named) >= 10
    for path, function in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert any(each.startswith("test_") for each in defined) or "TestCase" in ast.dump(tree), path
        assert not function or function in defined, f"{path}::{function}"


@pytest.mark.parametrize("document", [*READMES, *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_every_link_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / document).parent / target).exists(), target


def test_both_readmes_make_the_same_promises() -> None:
    first, second = (
        set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", (ROOT / name).read_text(encoding="utf-8")))
        for name in READMES
    )
    assert first == second
