"""Whoever follows docs/adding-a-service.md gets a service that starts, answers, reacts and keeps the rules."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.tools import ROOT

GUIDE = ROOT / "docs/adding-a-service.md"
CODE = ("services", "shared", "deploy", "docs")
NEEDED = (*CODE, "tests/__init__.py", "tests/waiting.py", "pyproject.toml", ".importlinter")


def blocks() -> list[tuple[str, str, str]]:
    """Path, language and content of each file that the guide shows."""
    return re.findall(r"^### `([\w/.]+)`\n\n```(\w+)\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def changed(text: str, difference: str) -> str:
    """The text with lines put in behind (`+`) or in the place of (`-`) others, which must be there once."""
    lines, at = text.splitlines(keepends=True), 0
    for each in difference.splitlines(keepends=True):
        sign, line = each[0], each[1:]
        if sign == "+":
            lines.insert(at, line)
            at += 1
            continue
        assert lines.count(line) == 1, f"{line!r} is not there, or more than once"
        at = lines.index(line) + 1
        if sign == "-":
            del lines[at - 1]
            at -= 1
    return "".join(lines)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with the guide's service added."""
    folder = tmp_path_factory.mktemp("added")
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, folder / name)
    for path, language, content in blocks():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(changed(file.read_text("utf-8"), content) if language == "diff" else content, "utf-8")
    run(folder, "-m", "shared.contracts", "freeze")
    return folder


def run(folder: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_starts_answers_and_reacts(checkout: Path, tmp_path: Path) -> None:
    script = shutil.copy(Path(__file__).with_name("added_service.py"), checkout)
    assert run(checkout, str(script), str(tmp_path)) == "added\n"


def test_it_keeps_the_style_the_types_and_the_import_rules(checkout: Path) -> None:
    run(checkout, "-m", "ruff", "check", "services/thanks", "shared/contracts")
    run(checkout, "-m", "ruff", "format", "--check", "services/thanks", "shared/contracts")
    run(checkout, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    run(checkout, "-m", "mypy", "-p", "services.thanks")


def test_its_command_tells_how_it_is_used(checkout: Path) -> None:
    assert "usage: python -m services.thanks" in run(checkout, "-m", "services.thanks", "--help")


def test_its_routes_and_settings_join_the_generated_pages(checkout: Path) -> None:
    assert "| thanks | POST | `/notes/{id}/answer` | answer-note |" in run(checkout, "-m", "shared.http", "matrix")
    document = run(checkout, "-m", "shared.contracts", "asyncapi")
    assert "chuangwen.thanks.note-answered.v1" in document
