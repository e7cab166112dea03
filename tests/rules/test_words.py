"""One word for one thing: words that docs/glossary.md retires stand nowhere any more."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs/glossary.md"
KINDS = {"word", "attribute", "name", "class", "text"}

# Where a retired word is somebody else's, or means what it says.
MEANT = {
    ("checker", "tests/chaos"),  # the judge of a history, as the literature on such tests calls it
    ("checker", "tests/contract"),  # FormatChecker of jsonschema
    ("checker", "tests/load"),
    ("told", "services/scoring/domain/facts.py"),  # told_at: stored and public under that name
    ("told", "services/scoring/domain/what_if.py"),
    ("told", "services/scoring/handlers/measures.py"),
    ("told", "services/scoring/views/entries.py"),
    ("told", "services/scoring/views/responsibility.py"),
    ("told", "tests/unit/scoring/test_facts.py"),
    ("admin", "shared/kafka.py"),  # AIOKafkaAdminClient
    ("admin", "shared/store/mongo.py"),  # the database of that name
    ("admin", "tests"),
    ("admin", "deploy/local"),  # the database of that name in MongoDB
}
STORED = {"told_at"}
"""Names of fields in documents that are kept: they stay as they are."""


class Retired(NamedTuple):
    """A word that is not to be used, and where it is looked for."""

    word: str
    kind: str


def retired() -> list[Retired]:
    """The last table of the glossary."""
    table = GLOSSARY.read_text(encoding="utf-8").rpartition("| Retired |")[2]
    rows = re.findall(r"^\| (\w+) \| (\w+) \| .+ \|$", table, re.MULTILINE)
    return [Retired(word, kind) for word, kind in rows]


WORDS = retired()


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Names that the source gives or uses, with their lines; whether it is the name of a class or an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("test_"):
                yield node.name, node.lineno, ""
        elif isinstance(node, ast.ClassDef):
            yield node.name, node.lineno, "class"
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno, ""
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno, "attribute"
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno, ""
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).rpartition(".")[2], node.lineno, ""


def words_of(identifier: str) -> set[str]:
    """`two_words` and `TwoWords` alike."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def retired_identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Retired words in a source, with their lines."""
    for identifier, line, what in identifiers(tree):
        if identifier in STORED:
            continue
        for word, kind in WORDS:
            if (
                (kind == "word" and word in words_of(identifier))
                or (kind == "name" and word == identifier)
                or (kind == "attribute" == what and word == identifier)
                or (kind == "class" == what and word.lower() in words_of(identifier))
            ):
                yield word, line


def retired_texts(text: str) -> Iterator[tuple[str, int]]:
    """Retired texts in a file, with their lines."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((word, number) for word, kind in WORDS if kind == "text" and word in line)


def _files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _offenders(file: Path) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    name = file.relative_to(ROOT).as_posix()
    found = [*retired_texts(text), *(retired_identifiers(ast.parse(text)) if file.suffix == ".py" else ())]
    for word, line in found:
        if not any(word == meant and name.startswith(place) for meant, place in MEANT):
            yield f"{name}:{line} {word}"


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("from shared.contracts import reports as told", "told"),
        ("def rows_told(): ...", "told"),
        ("class TriedRule: ...", "tried"),
        ("runtime.own.district", "own"),
        ("def verify(checker): ...", "checker"),
        ("class Desk: ...", "desk"),
    ],
)
def test_the_rule_sees_its_offender(source: str, word: str) -> None:
    assert word in {found for found, _ in retired_identifiers(ast.parse(source))}


@pytest.mark.parametrize(
    "source",
    [
        "def test_it_is_told_once(): ...",
        "def of_own_unit(wanted, known): ...",
        "class Resources: ...",
        "'it is told'",
        "from jsonschema import validate",
    ],
)
def test_the_rule_leaves_others_alone(source: str) -> None:
    assert list(retired_identifiers(ast.parse(source))) == []


def test_a_retired_text_is_seen_wherever_it_stands() -> None:
    retired_name = "创文" + "办"
    assert list(retired_texts(f"一\n交{retired_name}")) == [(retired_name, 2)]


def test_the_glossary_names_what_is_retired() -> None:
    assert len(WORDS) >= 15
    assert {kind for _, kind in WORDS} == KINDS


def test_no_retired_word_is_left() -> None:
    found: list[str] = []
    for file in _files():
        if file not in {GLOSSARY, Path(__file__)}:
            found += _offenders(file)
    assert found == []
