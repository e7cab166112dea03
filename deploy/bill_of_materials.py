"""What an image is made of, as CycloneDX 1.6 JSON: its Python packages and its Debian packages.

    python -m deploy.bill_of_materials          of the environment it runs in, on standard output

https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DEBIAN = Path("/var/lib/dpkg/status")

Component = dict[str, Any]


def document(debian: Path = DEBIAN) -> dict[str, Any]:
    """The bill of this environment; without Debian's packages where there are none."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "chuangwen", "name": "chuangwen"}},
        "components": sorted([*_python(), *_debian(debian)], key=lambda each: str(each["bom-ref"])),
    }


def _python() -> Iterator[Component]:
    for each in {distribution.name.lower(): distribution for distribution in distributions()}.values():
        name = each.name.lower().replace("_", "-")
        yield _component(name, each.version, f"pkg:pypi/{quote(name)}@{quote(each.version)}", _licence(each))


def _licence(distribution: Distribution) -> str | None:
    metadata = dict(distribution.metadata.items())  # type: ignore[attr-defined]  # an email.message.Message
    licence = metadata.get("License-Expression") or metadata.get("License")
    return licence if licence and len(licence) < 60 and "\n" not in licence else None


def _debian(status: Path) -> Iterator[Component]:
    if not status.exists():
        return
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
            yield _component(name, version, purl, None)


def _component(name: str, version: str, purl: str, licence: str | None) -> Component:
    component: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return component | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
