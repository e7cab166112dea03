"""docs/configuration.md, drawn from the settings classes."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from deploy.local.stack import PORTS
from shared.settings import Environment, Settings

SERVICES = Path(__file__).parents[2] / "services"
OPENING = """\
# 配置 · Configuration

本页由 `make docs` 根据各服务的配置类生成，请勿手改。 Generated from the settings classes by `make docs`; do not edit.

配置来自环境变量，启动时校验：缺少或写错的变量会逐个指明，进程不启动。
Settings are environment variables, checked at start: what is missing or wrong is named, and nothing starts.

每个进程有一个角色：`python -m services.reports api | worker | all`（安装后为 `chuangwen-reports …`）。
Each process has a role; installed, the command is `chuangwen-reports api | worker | all`.
"""
TABLE = ("变量 Variable", "含义", "Meaning", "缺省 Default", "允许 Allowed")


def page() -> str:
    """The whole page."""
    parts = [OPENING, "## 每个服务 · Every service\n", _table(_rows(Settings, Settings.model_fields))]
    for service, settings in services().items():
        parts += [f"## {service}\n", _table(_rows(settings, settings.model_fields.keys() - Settings.model_fields))]
    parts.append(LOCAL.format(ports=_ports()))
    return "\n".join(parts)


LOCAL = """\
## 本机 · On one machine

`make up` 自行给出以上全部配置；下列变量可改，也可写入 `.local/ports`（每行如 `REPORTS_PORT=9001`）。
`make up` gives all of the above by itself; these may be changed, also by lines like `REPORTS_PORT=9001` in the file
`.local/ports`.

{ports}
`MONGODB_URI` 与 `KAFKA_BOOTSTRAP_SERVERS` 若已设置，则使用所指的服务器，不再自行启动。
Where `MONGODB_URI` or `KAFKA_BOOTSTRAP_SERVERS` are set, those servers are used and none is started.
"""


def services() -> dict[str, type[Environment]]:
    """The settings class of each service, by its name."""
    names = sorted(path.parent.name for path in SERVICES.glob("*/settings.py"))
    return {name: importlib.import_module(f"services.{name}.settings").Settings for name in names}


def meanings(field: FieldInfo) -> tuple[str, str]:
    """What a setting means, in Chinese and in English. Raises ValueError unless both are there."""
    chinese, english = (field.description or "").split(" · ")
    return chinese, english


def _rows(settings: type[Environment], names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    described: dict[str, Any] = settings.model_json_schema()["properties"]
    for name, field in settings.model_fields.items():
        if name in names:
            yield f"`{name.upper()}`", *meanings(field), _default(field), _allowed(described[name])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**必填 required**"
    return f"`{field.default}`" if field.default not in {None, ""} else "–"


def _allowed(schema: dict[str, Any]) -> str:
    kind = next((part for part in schema.get("anyOf", ()) if part["type"] != "null"), schema)
    if "enum" in kind:
        return " ".join(f"`{value}`" for value in kind["enum"])
    bounds = ((">", "exclusiveMinimum"), ("≥", "minimum"), ("<", "exclusiveMaximum"), ("≤", "maximum"))
    found = [f"{sign} {kind[name]:g}" for sign, name in bounds if name in kind]
    return ", ".join(found) or (f"`{kind['pattern']}`" if "pattern" in kind else "–")


def _ports() -> str:
    rows = ((f"`{name.upper().replace('-', '_')}_PORT`", str(port)) for name, port in PORTS.items())
    return _table(rows, ("变量 Variable", "缺省 Default"))


def _table(rows: Iterable[tuple[str, ...]], heading: tuple[str, ...] = TABLE) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
