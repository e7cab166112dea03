"""How the files of the district's folder are read: all at once, every fault named by file and row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, BeforeValidator, PlainValidator, ValidationError

from shared.errors import DomainError

FilesT = TypeVar("FilesT", bound=BaseModel)


class DistrictUnusable(Exception):
    """The files cannot be used as they are; `problems` names each fault by file and row."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(folder: Path, files: type[FilesT]) -> FilesT:
    """The files that a form asks for, each named by the alias of a field; one with a default may be missing.

    Raises DistrictUnusable with every fault of form in any of them.
    """
    contents: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for field in files.model_fields.values():
        name = field.alias or ""
        if not field.is_required() and not (folder / name).exists():
            continue
        try:
            contents[name] = json.loads((folder / name).read_bytes())
        except (OSError, ValueError) as error:
            problems[name] = [repr(error)]
    try:
        sound = files.model_validate(contents)
    except ValidationError as error:
        unreadable = set(problems)
        for fault in error.errors():
            name, *way = map(str, fault["loc"])
            if name not in unreadable:
                problems.setdefault(name, []).append(_in_words(way, fault["msg"]))
    if problems:
        raise DistrictUnusable([f"{name}: {problem}" for name, faults in problems.items() for problem in faults])
    return sound


def as_written(kind: type) -> BeforeValidator:
    """Rows must not have misspelt fields, and amounts must be in quotes, or binary fractions would creep in."""

    def check(row: Any) -> Any:
        if isinstance(row, dict):
            if unknown := sorted(_misspelt(kind, row)):
                raise ValueError(f"unknown: {', '.join(unknown)}")
            if inexact := sorted(name for name, value in row.items() if isinstance(value, float)):
                raise ValueError(f'write in quotes, like "0.5": {", ".join(inexact)}')
        return row

    return BeforeValidator(check)


def made_by(make: Callable[[Any], object]) -> PlainValidator:
    """The content of a file as `make` understands it, whatever it raises being a fault of the file."""

    def validate(content: Any) -> object:
        try:
            return make(content)
        except ValidationError as error:
            raise ValueError("; ".join(_faults(error))) from error
        except (KeyError, TypeError, DomainError) as error:
            raise ValueError(repr(error)) from error

    return PlainValidator(validate)


def _faults(error: ValidationError) -> list[str]:
    return [_in_words(map(str, fault["loc"]), fault["msg"]) for fault in error.errors()]


def _in_words(way: Iterable[str], message: str) -> str:
    return ": ".join(filter(None, [".".join(way), message]))


def _misspelt(kind: Any, row: Mapping[str, Any]) -> Iterator[str]:
    """Names that are no field of the kind, also in the rows within the row."""
    hints = get_type_hints(kind)
    for name, value in row.items():
        if name not in hints:
            yield name
        for inner in filter(is_dataclass, (hints.get(name), *_parts(hints.get(name)))):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    yield from (f"{name}.{unknown}" for unknown in _misspelt(inner, part))


def _parts(hint: Any) -> Iterator[Any]:
    """What a type is put together from, all the way down: `Window` of `Hours | tuple[Window, ...]`."""
    for part in get_args(hint):
        yield part
        yield from _parts(part)
