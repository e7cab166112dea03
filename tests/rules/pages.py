"""The pages of docs/ that are made from the code: `python -m tests.rules.pages` writes them all anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.reports.domain import transitions
from shared.contracts import SUBSCRIPTIONS
from shared.contracts.documents import asyncapi_text
from shared.http import matrix
from tests.rules import metrics_page, refusals, settings_page

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Callable[[], str]] = {
    "docs/asyncapi.json": lambda: asyncapi_text(SUBSCRIPTIONS),
    "docs/access.md": lambda: matrix.table(matrix.services_in()),
    "docs/case-states.md": transitions.drawn,
    "docs/configuration.md": settings_page.page,
    "docs/metrics.md": metrics_page.page,
    "docs/rules.md": refusals.page,
}


def main() -> None:
    """Write every page that is not as it should be."""
    for name, made in PAGES.items():
        text = made()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text:
            (ROOT / name).write_text(text, encoding="utf-8")
            print(name)  # noqa: T201


if __name__ == "__main__":
    main()
