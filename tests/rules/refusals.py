"""Every refusal the platform knows, read from the sources: its code, its sentences, who raises it, what proves it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared import errors
from shared.messages import LANGUAGES, SHARED, Messages

ROOT = SHARED.parents[1]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if (path / "__main__.py").exists())
REFUSALS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.DomainError)
}
STATUSES = {name: kind.status for name, kind in REFUSALS.items()} | {"FieldRule": 422}
# Problem and the rules for fields tell codes that no exception carries.
DISTINCT = 6
"""Letters of a sentence that no other one has by chance."""
CARRIERS = REFUSALS.keys() | {"Problem", "FieldRule"}


@dataclass(frozen=True)
class Use:
    """A code where the source names it; `pattern` matches codes that are put together as the program runs."""

    place: str
    pattern: str
    literal: bool
    carrier: str
    params: frozenset[str] | None
    """What the raiser gives the sentence; None where the source does not show it."""

    @property
    def file(self) -> str:
        """Where it is raised, without the line."""
        return self.place.partition(":")[0]

    def raises(self, code: str) -> bool:
        """Whether this place may raise the code."""
        return re.fullmatch(self.pattern, code) is not None


def sources(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    """The syntax trees of a folder, fakes for tests left out."""
    for file in sorted(folder.rglob("*.py")):
        if "testing" not in file.parts:
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def uses(folder: Path, root: Path = ROOT) -> Iterator[Use]:
    """Every place in a folder that names a code. Raises ValueError where one is not written out."""
    for file, tree in sources(folder):
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)} & REFUSALS.keys()
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if called(call) in CARRIERS - defined and call.args:
                place = f"{file.relative_to(root)}:{call.lineno}"
                for code in _written_out(call.args[0], tree):
                    yield _use(place, code, call)


def called(call: ast.Call) -> str:
    """The name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def missing_documents(folder: Path) -> set[str]:
    """What `uow.get` raises for the collections that it is asked for."""
    collections = _collections(folder)
    asked = set()
    for _, tree in sources(folder):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "uow.get" and call.args:
                name = call.args[0].attr if isinstance(call.args[0], ast.Attribute) else ast.unparse(call.args[0])
                if name in collections:
                    asked.add(f"{collections[name]}-not-found")
    return asked


def catalogue(service: Path | None) -> Messages:
    """The sentences of a service, those of the platform included."""
    file = service / "messages.json" if service else None
    return Messages.load(*([file] if file and file.exists() else []))


class Proofs:
    """Which test proves a refusal: one that names its code, or else what people read of it."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, list[str]]] = []
        self._files: list[tuple[str, list[str]]] = []
        """Tables of cases and helpers of a file of tests stand outside its functions."""
        for file in sorted((ROOT / "tests").rglob("test_*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            self._files.append((file.relative_to(ROOT).as_posix(), _texts(tree)))
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test_"):
                    self._texts.append((f"{file.relative_to(ROOT).as_posix()}::{function.name}", _texts(function)))

    def of(self, code: str, sentences: Messages, owner: str) -> str | None:
        """The test nearest to the service (or to `shared`); None when there is none."""
        for tests in (self._texts, self._files):
            if found := _naming(code, sentences, tests):
                return min(found, key=lambda test: (owner not in test, found.index(test)))
        return None


def _naming(code: str, sentences: Messages, tests: Sequence[tuple[str, list[str]]]) -> list[str]:
    fixed = [sentences.text(code, language) for language in LANGUAGES]
    shown = [part for text in fixed for part in text.split("…") if len(part) >= DISTINCT]
    naming = [test for test, texts in tests if code in texts]
    return naming or [test for test, texts in tests if any(part in text for part in shown for text in texts)]


def _texts(tree: ast.AST) -> list[str]:
    nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [value for value in nodes if isinstance(value, str)]


def page() -> str:
    """docs/rules.md."""
    proofs = Proofs()
    raised = {folder: list(uses(folder)) for folder in (ROOT / "shared", *SERVICES)}
    parts = [_OPENING]
    for folder, places in raised.items():
        service = folder if folder in SERVICES else None
        sentences = catalogue(service)
        codes = sorted(set(sentences) - (set(Messages.load()) if service else set()))
        everywhere = [*places, *(use for other in raised if other != folder for use in raised[other])]
        parts += [f"\n## {folder.name}\n\n", _HEADING]
        parts += [_row(code, sentences, everywhere, proofs.of(code, sentences, folder.name)) for code in codes]
    return "".join(parts)


_OPENING = """\
# 规则与错误代码 · Rules and their refusals

本页由 `make docs` 根据代码、说明文字与测试生成，请勿手改。 Generated by `make docs`; do not edit.

系统拒绝一个请求时，回答固定的 `code`、出错的字段与限值；代码不会改变含义。
Whoever is refused gets a stable `code`, the field at fault and the limit; a code never changes its meaning.
"""
_HEADING = "| code | | 说明 | Sentence | 规则所在 Where | 由何证明 Proved by |\n|---|---|---|---|---|---|\n"


def _row(code: str, sentences: Messages, places: Iterable[Use], proof: str | None) -> str:
    raising = [use for use in places if use.raises(code)]
    exact = [use for use in raising if use.literal] or raising
    files = list(dict.fromkeys(use.file for use in exact))
    statuses = sorted({STATUSES[use.carrier] for use in exact if use.carrier in STATUSES})
    where = "<br>".join(f"[{file}](../{file})" for file in files[:3]) or "[shared/store](../shared/store)"
    status = " ".join(map(str, statuses)) or ("404" if code.endswith("-not-found") else "")
    braces = {name: f"{{{name}}}" for name in sentences.parameters(code)}
    chinese, english = (_cell(sentences.text(code, language, braces)) for language in LANGUAGES)
    return f"| `{code}` | {status} | {chinese} | {english} | {where} | {f'`{proof}`' if proof else '–'} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


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


def _use(place: str, code: ast.expr, call: ast.Call) -> Use:
    if isinstance(code, ast.Constant) and isinstance(code.value, str):
        return Use(place, re.escape(code.value), literal=True, carrier=called(call), params=_params(call))
    if not isinstance(code, ast.JoinedStr):
        raise ValueError(f"{place}: a code must be written out, or no rule can check its sentence")
    parts = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in code.values)
    return Use(place, "".join(parts), literal=False, carrier=called(call), params=_params(call))


def _params(call: ast.Call) -> frozenset[str] | None:
    if called(call) not in REFUSALS or any(keyword.arg is None for keyword in call.keywords):
        return None
    return frozenset(keyword.arg for keyword in call.keywords if keyword.arg)


def _collections(folder: Path) -> Mapping[str, str]:
    """Names of collections by the names of the variables that hold them."""
    found = {}
    for _, tree in sources(folder):
        for node in ast.walk(tree):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(value, ast.Call) and called(value) == "Collection" and value.args:
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if isinstance(target, ast.Name) and isinstance(value.args[0], ast.Constant):
                    found[target.id] = str(value.args[0].value)
    return found
