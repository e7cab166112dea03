"""What units and the office write again and again (回复模板), with places for what the case says itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter

from services.reports.domain.words import Command
from shared.district.names import Name

PLACEHOLDERS = ("case", "category", "community", "address", "unit", "registered", "due", "today")
"""What a template may ask for: the case's number, names and address, when it was registered and is due, and today."""
TEMPLATE_LIMIT = 1000
STEPS = frozenset(
    {
        Command.REJECT,
        Command.RETURN,
        Command.ASK_EXTENSION,
        Command.GRANT_EXTENSION,
        Command.REFUSE_EXTENSION,
        Command.SUSPEND,
        Command.ASK_REPORTER,
        Command.REPLY,
        Command.VERIFY_PASSED,
        Command.VERIFY_FAILED,
        Command.REOPEN,
        Command.COMMENT,
    }
)
"""What is done with words."""


@dataclass(frozen=True)
class Template:
    """A text for a step, for some categories or, without any, for all. `{case}` and its like are filled in."""

    code: str
    step: Command
    name: Name
    text: str
    categories: tuple[str, ...] = ()

    def fits(self, step: Command | None, category: str | None) -> bool:
        """Whether it is for the step and the category; None: for any."""
        return step in {None, self.step} and (category is None or not self.categories or category in self.categories)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text for a case; `values` has all PLACEHOLDERS."""
        return self.text.format_map(values)

    def faults(self) -> Iterator[str]:
        """What is wrong with it, so that filling it in can never fail."""
        if self.step not in STEPS:
            yield f"{self.step.value} is done without words"
        if not 0 < len(self.text) <= TEMPLATE_LIMIT:
            yield f"the text has to have 1 to {TEMPLATE_LIMIT} characters"
        try:
            parts = list(Formatter().parse(self.text))
        except ValueError as error:
            yield f"the text: {error}"
            return
        for _, name, form, conversion in parts:
            if name is not None and (name not in PLACEHOLDERS or form or conversion):
                yield f"{{{name}}} is not one of {', '.join(PLACEHOLDERS)}"
