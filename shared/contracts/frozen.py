"""The promises already made: every revision of every event type, and examples of each, as files.

`schemas/<type>/<revision>.json` counts from 1 and is never edited: a compatible change of a model adds a
revision, and all revisions stay compatible with each other and with the model. `examples/<type>/<name>.json`
holds data as it stands in a Kafka record; examples of old revisions stay too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from shared.contracts.compatibility import incompatibilities
from shared.contracts.event_model import EventPart
from shared.contracts.wire import Schema, wire_schema

SCHEMAS = Path(__file__).with_name("schemas")
EXAMPLES = Path(__file__).with_name("examples")


class Broken(Exception):
    """The models no longer keep what the frozen schemas promise; `reasons` says where."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = list(reasons)
        super().__init__("\n".join(self.reasons))


def history(event_type: str, folder: Path = SCHEMAS) -> list[Schema]:
    """The frozen revisions of a type, oldest first; empty when it was never frozen."""
    files = sorted((folder / event_type).glob("*.json"), key=lambda file: int(file.stem))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def examples(event_type: str, folder: Path = EXAMPLES) -> dict[str, bytes]:
    """The examples of a type by name: the JSON of the data, as a record's value has it."""
    return {file.stem: file.read_bytes() for file in sorted((folder / event_type).glob("*.json"))}


def broken_promises(models: Mapping[str, type[EventPart]], folder: Path = SCHEMAS) -> list[str]:
    """Every way in which the models and the frozen revisions cannot be mixed; empty when all can be.

    Raises Unsupported for a model that the checker cannot judge.
    """
    frozen = {file.name for file in folder.iterdir()} if folder.exists() else set()
    gone = [f"{name}: frozen, but no model publishes it any more" for name in sorted(frozen - models.keys())]
    return gone + [
        f"{name}: {reason}"
        for name, model in models.items()
        for old, new in combinations([*history(name, folder), wire_schema(model)], 2)
        for reason in incompatibilities(old, new)
    ]


def unfrozen(models: Mapping[str, type[EventPart]], folder: Path = SCHEMAS) -> dict[Path, Schema]:
    """The revisions that the models have and the files have not, by the file each belongs in."""
    found = {}
    for name, model in models.items():
        revisions, current = history(name, folder), wire_schema(model)
        if current not in revisions[-1:]:
            found[folder / name / f"{len(revisions) + 1}.json"] = current
    return found


def freeze(models: Mapping[str, type[EventPart]], folder: Path = SCHEMAS) -> list[Path]:
    """Writes what is not frozen yet and returns the new files. Raises Broken, having written nothing."""
    if reasons := broken_promises(models, folder):
        raise Broken(reasons)
    revisions = unfrozen(models, folder)
    for file, schema in revisions.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(schema, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return list(revisions)
