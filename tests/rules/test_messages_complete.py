"""Every refusal has a sentence in both languages, and every sentence is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared import errors
from shared.messages import SHARED, Messages

ROOT = SHARED.parents[1]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if (path / "__main__.py").exists())
REFUSALS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.DomainError)
}
# Problem and the rules for fields tell codes that no exception carries.
CARRIERS = REFUSALS | {"Problem", "FieldRule"}


@dataclass(frozen=True)
class Use:
    """A code where the source names it; `pattern` matches codes that are put together as the program runs."""

    place: str
    pattern: str
    literal: bool
    params: frozenset[str] | None
    """What the raiser gives the sentence; None where the source does not show it."""


def _sources(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(folder.rglob("*.py")):
        if "testing" not in file.parts:
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _uses(folder: Path) -> Iterator[Use]:
    for file, tree in _sources(folder):
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)} & REFUSALS
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if _called(call) in CARRIERS - own and call.args:
                place = f"{file.relative_to(ROOT)}:{call.lineno}"
                for code in _written_out(call.args[0], tree):
                    yield _use(place, code, _params(call))


def _written_out(code: ast.expr, tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions that the code may be: both sides of a choice, whatever a variable was set to."""
    if isinstance(code, ast.IfExp):
        yield from _written_out(code.body, tree)
        yield from _written_out(code.orelse, tree)
    elif isinstance(code, ast.Name):
        assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
        values = [node.value for node in assigned if ast.unparse(node.targets[0]) == code.id]
        for value in values:
            yield from _written_out(value, tree)
        if not values:
            yield code
    elif not (isinstance(code, ast.Attribute) and code.attr == "code"):
        yield code


def _use(place: str, code: ast.expr, params: frozenset[str] | None) -> Use:
    if isinstance(code, ast.Constant) and isinstance(code.value, str):
        return Use(place, re.escape(code.value), literal=True, params=params)
    if not isinstance(code, ast.JoinedStr):
        pytest.fail(f"{place}: a code must be written out, or no rule can check its sentence")
    parts = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in code.values)
    return Use(place, "".join(parts), literal=False, params=params)


def _params(call: ast.Call) -> frozenset[str] | None:
    if _called(call) not in REFUSALS or any(keyword.arg is None for keyword in call.keywords):
        return None
    return frozenset(keyword.arg for keyword in call.keywords if keyword.arg)


def _collections(folder: Path) -> dict[str, str]:
    """Names of collections by the names of the variables that hold them."""
    found = {}
    for _, tree in _sources(folder):
        for node in ast.walk(tree):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(value, ast.Call) and _called(value) == "Collection" and value.args:
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if isinstance(target, ast.Name) and isinstance(value.args[0], ast.Constant):
                    found[target.id] = str(value.args[0].value)
    return found


def _missing_documents(folder: Path) -> set[str]:
    """What `uow.get` raises for the collections that it is asked for."""
    collections = _collections(folder)
    asked = set()
    for _, tree in _sources(folder):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "uow.get" and call.args:
                name = call.args[0].attr if isinstance(call.args[0], ast.Attribute) else ast.unparse(call.args[0])
                if name in collections:
                    asked.add(f"{collections[name]}-not-found")
    return asked


def _imported(service: Path) -> set[str]:
    """Names of the shared modules that a service uses itself."""
    nodes = (node for _, tree in _sources(service) for node in ast.walk(tree))
    modules = (node.module.split(".") for node in nodes if isinstance(node, ast.ImportFrom) and node.module)
    return {steps[1] for steps in modules if steps[0] == "shared" and len(steps) > 1}


def _module(use: Use) -> str:
    return use.place.split(":")[0].removesuffix(".py").split("/")[1]


def _catalogue(service: Path | None) -> Messages:
    file = service / "messages.json" if service else None
    return Messages.load(*([file] if file and file.exists() else []))


def _told(use: Use, catalogue: Messages) -> bool:
    return any(re.fullmatch(use.pattern, code) for code in catalogue)


def _untold(uses: Iterable[Use], catalogue: Messages) -> list[str]:
    return [f"{use.place}: {use.pattern}" for use in uses if use.literal and not _told(use, catalogue)]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_code_of_a_service_has_a_sentence_in_both_languages(service: Path) -> None:
    catalogue, imported = _catalogue(service), _imported(service)
    borrowed = [use for use in _uses(ROOT / "shared") if _module(use) in imported]
    missing = [code for code in _missing_documents(service) if code not in catalogue]
    assert _untold([*_uses(service), *borrowed], catalogue) + missing == []


def test_every_code_of_the_shared_modules_has_a_sentence_in_both_languages() -> None:
    # A module that a service uses itself may have its sentences there: the test above sees to them.
    borrowed = {module for service in SERVICES for module in _imported(service)}
    ours = [use for use in _uses(ROOT / "shared") if _module(use) not in borrowed]
    assert _untold(ours, Messages.load()) == []


@pytest.mark.parametrize("folder", [ROOT / "shared", *SERVICES], ids=lambda path: path.name)
def test_every_sentence_gets_its_parameters(folder: Path) -> None:
    catalogue = _catalogue(folder if folder in SERVICES else None)
    lacking = [
        f"{use.place}: {code} lacks {', '.join(sorted(lack))}"
        for use in _uses(folder)
        for code in catalogue
        if use.params is not None and re.fullmatch(use.pattern, code)
        if (lack := catalogue.parameters(code) - use.params)
    ]
    assert lacking == []


@pytest.mark.parametrize("service", [None, *SERVICES], ids=lambda path: path.name if path else "shared")
def test_every_sentence_is_used(service: Path | None) -> None:
    folders = [service, ROOT / "shared"] if service else [ROOT / "shared", *SERVICES]
    patterns = {use.pattern for folder in folders for use in _uses(folder)}
    own = set(_catalogue(service)) - (set(Messages.load()) if service else set())
    assert {code for code in own if not any(re.fullmatch(pattern, code) for pattern in patterns)} == set()


def test_the_rule_sees_what_it_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
raise Invalid("a-b", limit=1)
raise errors.Refused(f"{kind}-closed" if x else "c")
code = "d" if x else "e"
raise NotFound(code)
NOTES = Collection("notes", Note)
uow.get(repo.NOTES, id)
"""
    (tmp_path / "module.py").write_text(source)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    uses = list(_uses(tmp_path))
    assert {use.pattern for use in uses} == {r"a\-b", r".+\-closed", "c", "d", "e"}
    assert uses[0].params == frozenset({"limit"})
    assert _missing_documents(tmp_path) == {"notes-not-found"}
