"""Every service has the same rooms (docs/adding-a-service.md), a noun has one name in all of them, and no circles."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent for path in (ROOT / "services").glob("*/app.py"))

ROOMS = {"domain", "repo", "views", "commands", "handlers", "api", "resources", "settings", "app"}
"""What every service has, as a module or as a package."""
FURTHER = {"__init__", "__main__", "pages", "forms", "rendering", "clients", "district", "cli"}
"""What a service has where it needs it."""
DATA = {"messages.json", "progress.json"}
NOUN_ROOMS = ("domain", "commands", "handlers", "views", "api", "pages")
"""Rooms whose files are named by what they are about."""
HTTP_ROOMS = ("api", "pages", "forms")
HTTP_ONLY = {"access", "bodies", "workbook"}
"""Files of the HTTP room that are about it, and not about a noun."""
SYNONYMS = {
    "matrix": "responsibility",
    "seals": "periods",
    "rows": "entries",
    "trial": "what_if",
    "say": "feedback",
    "errands": "duties",
}


def names(folder: Path) -> set[str]:
    """Modules and packages of a folder."""
    found = (path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return {path.stem for path in found}


def nouns(service: Path) -> Iterator[tuple[str, str]]:
    """Room and noun of every file that is named by what it is about."""
    for room in NOUN_ROOMS:
        if (service / room).is_dir():
            yield from ((room, noun) for noun in names(service / room) - {"__init__"})


def singular(noun: str) -> str:
    """One spelling of a noun, whatever its number."""
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun


def spellings(service: Path) -> dict[str, set[str]]:
    """Nouns that are written in more than one way."""
    found: dict[str, set[str]] = {}
    for _, noun in nouns(service):
        found.setdefault(singular(noun), set()).add(noun)
    return {noun: written for noun, written in found.items() if len(written) > 1}


def imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """What a module imports anywhere in it, also for type checking only and inside of functions."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def graph(folders: Iterable[Path], root: Path = ROOT) -> dict[str, set[str]]:
    """Modules by name, with the modules of the same folders that they import."""
    files = {path: path for folder in folders for path in sorted(folder.rglob("*.py"))}
    modules = {_module(path, root): path for path in files}
    found = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        targets = {_known(target, modules) for target in imported(tree, name, path.name == "__init__.py")}
        found[name] = {target for target in targets if target and target != name}
    return found


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _known(target: str, modules: Mapping[str, Path]) -> str | None:
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target or None


def reached(start: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    """Everything that is imported in the end."""
    found: set[str] = set()
    ahead = list(start)
    while ahead:
        for target in edges[ahead.pop()] - found:
            found.add(target)
            ahead.append(target)
    return found


def circles(edges: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Modules that import each other, directly or not."""
    far = {name: reached([name], edges) for name in edges}
    return sorted(
        {tuple(sorted({name, *(o for o in far[name] if name in far[o])})) for name in far if name in far[name]}
    )


EDGES = graph([ROOT / "shared", ROOT / "services"])


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_service_has_the_same_rooms_and_no_others(service: Path) -> None:
    found = names(service)
    assert found >= ROOMS
    assert found <= ROOMS | FURTHER
    files = {path.name for path in service.iterdir() if path.is_file() and path.suffix != ".py"}
    assert files <= DATA


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_noun_is_written_in_one_way_in_all_rooms(service: Path) -> None:
    assert spellings(service) == {}
    assert {noun: SYNONYMS[noun] for _, noun in nouns(service) if noun in SYNONYMS} == {}


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_what_is_served_under_a_noun_is_found_under_it_below(service: Path) -> None:
    below = {noun for room, noun in nouns(service) if room not in {"api", "pages"}} | names(ROOT / "shared")
    served = {noun for room, noun in nouns(service) if room == "api"}
    assert served - HTTP_ONLY <= below


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_who_may_call_stands_in_one_file(service: Path) -> None:
    assert (service / "api/access.py").exists()


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_worker_imports_nothing_of_the_http_rooms(service: Path) -> None:
    prefix = f"services.{service.name}"
    workers = [name for name in EDGES if name.startswith((f"{prefix}.handlers", f"{prefix}.resources"))]
    http = tuple(f"{prefix}.{room}" for room in HTTP_ROOMS)
    assert [name for name in reached(workers, EDGES) if name.startswith(http)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(EDGES) == []


def test_the_rules_see_their_offenders(tmp_path: Path) -> None:
    for name, source in {
        "services/x/__init__.py": "",
        "services/x/domain/__init__.py": "",
        "services/x/domain/case.py": "if TYPE_CHECKING:\n    from services.x import lookup",
        "services/x/lookup.py": "def f():\n    from .domain.case import Case",
        "services/x/commands/__init__.py": "",
        "services/x/commands/cases.py": "",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    assert circles(graph([tmp_path / "services"], tmp_path)) == [("services.x.domain.case", "services.x.lookup")]
    assert spellings(tmp_path / "services/x") == {"case": {"case", "cases"}}
    assert names(tmp_path / "services/x") - ROOMS - FURTHER == {"lookup"}
